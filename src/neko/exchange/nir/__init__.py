"""The Neuromorphic Intermediate Representation (Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9)."""

from neko.exchange.nir.from_graph import Imported, from_nir
from neko.exchange.nir.to_graph import to_nir

__all__ = ["Imported", "from_nir", "to_nir"]
