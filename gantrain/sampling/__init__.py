"""From latents to samples, grids, animations, tables and exported programs."""
