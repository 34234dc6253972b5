"""What a trainer does beside training: stop early, keep checkpoints, write for TensorBoard."""

from __future__ import annotations

from neko.training.callbacks.base import Callback
from neko.training.callbacks.checkpoints import Checkpoints
from neko.training.callbacks.early_stopping import EarlyStopping
from neko.training.callbacks.tensorboard import TensorBoard

__all__ = ["Callback", "Checkpoints", "EarlyStopping", "TensorBoard"]
