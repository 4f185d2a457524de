"""A dry run: what a run would be and take, found by building it and training a few steps of it."""
