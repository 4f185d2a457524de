"""From what was typed to a call."""
