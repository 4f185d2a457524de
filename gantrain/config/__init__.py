"""From overrides and YAML to a checked run."""
