"""A dry run: what a run would be and cost, measured by building it and training a few of its steps."""
