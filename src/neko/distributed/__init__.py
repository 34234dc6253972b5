"""Training by several processes or devices, which divide each batch among them."""

from neko.distributed.start import start
from neko.distributed.world import World

__all__ = ["World", "start"]
