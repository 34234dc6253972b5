"""Bayesian learning: samplers as learning rules, priors, and posteriors."""

from neko.bayes.hmc import HMC
from neko.bayes.inference import METHODS, Inference
from neko.bayes.langevin import Langevin
from neko.bayes.posterior import Posterior
from neko.bayes.priors import Laplace, Normal, Prior
from neko.bayes.sgld import SGLD

__all__ = ["HMC", "METHODS", "SGLD", "Inference", "Langevin", "Laplace", "Normal", "Posterior", "Prior"]
