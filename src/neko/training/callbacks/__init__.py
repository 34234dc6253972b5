"""Callbacks of a trainer: early stopping, checkpoints, progress, TensorBoard, histograms of conductances, warnings of
the layers' activity."""

from neko.training.callbacks.activity import Activity
from neko.training.callbacks.base import Callback
from neko.training.callbacks.checkpoints import Checkpoints
from neko.training.callbacks.conductances import Conductances
from neko.training.callbacks.early_stopping import EarlyStopping
from neko.training.callbacks.progress import Progress
from neko.training.callbacks.tensorboard import TensorBoard

__all__ = ["Activity", "Callback", "Checkpoints", "Conductances", "EarlyStopping", "Progress", "TensorBoard"]
