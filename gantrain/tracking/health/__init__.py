"""Advice on a run that goes wrong: the cause, the numbers that show it, and what to type."""
