"""Identities: the options, constants, code and data that a result depends on, described by value."""

from neko.identity.comparison import check_names, compare, differences, options, options_of, shown
from neko.identity.description import describe, describe_module

__all__ = ["check_names", "compare", "describe", "describe_module", "differences", "options", "options_of", "shown"]
