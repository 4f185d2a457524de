"""Studies: comparisons whose settings, budget, seeds and metric are laid down in one file before the first run."""
