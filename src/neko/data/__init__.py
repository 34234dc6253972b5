"""Data on their way to a model: sources of batches, checks, conversion."""
