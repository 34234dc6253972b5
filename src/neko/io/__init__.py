"""Input and output: checkpoints, plain states, atomic file writes, the console."""
