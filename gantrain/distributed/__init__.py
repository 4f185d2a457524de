"""Several processes that play one run: what they exchange, and how they are started."""
