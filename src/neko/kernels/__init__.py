"""Fused kernels, generated from a neuron's step; a backend offers them, and no rule names one."""
