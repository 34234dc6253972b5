"""A data set of a few digits, each as one step of 64 inputs, for commands that go through all examples again and again.

The commands take it as ``tests/few_digits.py:load``.
"""

from __future__ import annotations

from pathlib import Path

from neko import datasets

DATA = f"{Path(__file__).resolve()}:load"
EXAMPLES = 60


def load():
    """The first digits of training and test set, strong enough for every small network to spike."""
    found = datasets.load("digits")
    x_train, x_test = (4.0 * x[:EXAMPLES].reshape(EXAMPLES, 1, -1) for x in (found.x_train, found.x_test))
    y_train, y_test = found.y_train[:EXAMPLES], found.y_test[:EXAMPLES]
    return found._replace(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
