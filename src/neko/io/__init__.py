"""Files and states: checkpoints, what they are made of, and files that are whole or not there."""
