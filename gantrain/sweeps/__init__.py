"""Sweeps: their plan, the launch of their jobs, each job's process, and the search that Optuna leads."""
