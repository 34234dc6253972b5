"""Approximate posteriors, learnt by gradient descent or built from what it learns."""
