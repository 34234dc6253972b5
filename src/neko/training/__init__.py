"""Training: learners, the loop that runs them, callbacks, and the comparison of gradients."""
