"""gantrain's sweepers, in the package where Hydra looks for plug-ins."""
