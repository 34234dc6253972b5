"""Rules that run forward in time, with eligibility traces in place of backpropagation through time."""
