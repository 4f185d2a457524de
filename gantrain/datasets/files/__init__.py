"""Readers of what datasets find on disk."""
