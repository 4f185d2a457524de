"""What the seeds of several settings decide, and how many more would decide the rest."""
