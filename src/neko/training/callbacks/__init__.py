"""Callbacks of a trainer: early stopping, checkpoints, progress, TensorBoard, warnings of the layers' activity."""

from neko.training.callbacks.activity import Activity
from neko.training.callbacks.base import Callback
from neko.training.callbacks.checkpoints import Checkpoints
from neko.training.callbacks.early_stopping import EarlyStopping
from neko.training.callbacks.progress import Progress
from neko.training.callbacks.tensorboard import TensorBoard

__all__ = ["Activity", "Callback", "Checkpoints", "EarlyStopping", "Progress", "TensorBoard"]
