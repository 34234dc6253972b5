"""Rules whose every factor is local to the synapse and its two neurons, or broadcast to all."""
