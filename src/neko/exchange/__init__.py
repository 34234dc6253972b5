"""Networks to and from other libraries and hardware, with a report of what is kept and what is lost."""

from neko.errors import ExchangeError
from neko.exchange.network import load_network, save_network
from neko.exchange.nir import from_nir, to_nir
from neko.exchange.report import Entry, Report

__all__ = ["Entry", "ExchangeError", "Report", "from_nir", "load_network", "save_network", "to_nir"]
