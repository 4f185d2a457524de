"""Whether synthetic samples help a classifier of real ones."""
