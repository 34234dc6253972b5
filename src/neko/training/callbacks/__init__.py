"""What a trainer does beside training: stop early, keep checkpoints, show progress, write for TensorBoard."""

from neko.training.callbacks.activity import Activity
from neko.training.callbacks.base import Callback
from neko.training.callbacks.checkpoints import Checkpoints
from neko.training.callbacks.early_stopping import EarlyStopping
from neko.training.callbacks.progress import Progress
from neko.training.callbacks.tensorboard import TensorBoard

__all__ = ["Activity", "Callback", "Checkpoints", "EarlyStopping", "Progress", "TensorBoard"]
