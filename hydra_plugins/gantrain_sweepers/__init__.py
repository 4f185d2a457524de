"""What Hydra finds of gantrain: its sweepers."""
