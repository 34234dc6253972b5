"""The uncertainty of spiking networks on MNIST-1D, by every Bayesian method."""
