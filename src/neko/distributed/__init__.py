"""Training by several processes or devices, which divide each batch among them."""

from neko.distributed.start import join, start
from neko.distributed.world import World

__all__ = ["World", "join", "start"]
