"""What a trainer does beside training: stop early, keep checkpoints, write for TensorBoard."""

from __future__ import annotations

from neko.callbacks.base import Callback
from neko.callbacks.checkpoints import Checkpoints
from neko.callbacks.early_stopping import EarlyStopping
from neko.callbacks.tensorboard import TensorBoard

__all__ = ["Callback", "Checkpoints", "EarlyStopping", "TensorBoard"]
