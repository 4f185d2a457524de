"""How far samples are from real ones, whoever made them: no run, no config, no Hydra."""
