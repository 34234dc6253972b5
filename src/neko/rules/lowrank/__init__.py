"""Rules that carry the influence of the weights in factors of low rank."""
