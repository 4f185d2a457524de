"""Metrics that demonstrate the theory of the lectures."""
