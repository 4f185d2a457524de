"""How often the diagnosis is right: faults injected into short runs, and healthy runs of different kinds."""
