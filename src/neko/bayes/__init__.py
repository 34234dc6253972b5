"""Bayesian learning: samplers as learning rules, priors, and posteriors."""

from neko.bayes.approximate.dropout import Dropout
from neko.bayes.approximate.ensemble import Ensemble
from neko.bayes.approximate.ivon import IVON
from neko.bayes.approximate.laplace import LastLayerLaplace
from neko.bayes.approximate.mean_field import MeanField
from neko.bayes.approximate.point import PointEstimate
from neko.bayes.approximate.swag import SWAG
from neko.bayes.block_gibbs import BlockGibbs
from neko.bayes.cyclical import CyclicalSGHMC, CyclicalSGLD
from neko.bayes.hmc import HMC
from neko.bayes.inference import METHODS, Inference
from neko.bayes.langevin import Langevin
from neko.bayes.posterior import Posterior
from neko.bayes.priors import Laplace, Normal, Prior
from neko.bayes.psgld import PSGLD
from neko.bayes.random_walk import RandomWalk
from neko.bayes.sghmc import SGHMC
from neko.bayes.sgld import SGLD
from neko.bayes.temperature_scaling import TemperatureScaling

__all__ = [
    "HMC",
    "IVON",
    "METHODS",
    "PSGLD",
    "SGHMC",
    "SGLD",
    "SWAG",
    "BlockGibbs",
    "CyclicalSGHMC",
    "CyclicalSGLD",
    "Dropout",
    "Ensemble",
    "Inference",
    "Langevin",
    "Laplace",
    "LastLayerLaplace",
    "MeanField",
    "Normal",
    "PointEstimate",
    "Posterior",
    "Prior",
    "RandomWalk",
    "TemperatureScaling",
]
