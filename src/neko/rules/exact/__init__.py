"""Rules that give the exact gradient of the loss."""
