"""The search that Optuna leads."""
