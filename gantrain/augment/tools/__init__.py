"""What augmentations share."""
