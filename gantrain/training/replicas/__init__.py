"""Several runs of one shape, played at once: each keeps its own seed, rates, folder and result."""
