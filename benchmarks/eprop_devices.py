"""e-prop with pulses to soft-bounded devices: ALIF-128 on MNIST rows.

``python -m benchmarks.eprop_devices [EPOCHS]`` prints the best and the last test accuracy for ideal devices, for
noisy ones and for unequal ones; ``benchmarks.listing1`` has the same network with Adam. A device has 4,000 steps.
Gradients in the dead zone make no pulse: soft bounds forget a little with each one.
"""

from __future__ import annotations

import sys

import neko
from neko import datasets
from neko.devices import SoftBounds

DEVICES = {
    "ideal": SoftBounds(dg_min=5e-7),
    "30 % noise of each pulse": SoftBounds(dg_min=5e-7, dg_min_std=0.3),
    "and 30 % spread of the steps": SoftBounds(dg_min=5e-7, dg_min_std=0.3, dg_min_dtod=0.3),
}


def main(epochs: int = 10) -> None:
    data = datasets.load("mnist").one_hot()
    for name, device in DEVICES.items():
        model = neko.Evaluator(neko.ALIF(128, 10, "jax"), loss="categorical_crossentropy", metrics=["accuracy"])
        rule = neko.Eprop(model, optimizer=neko.Manhattan(device=device, w_max=3.0, dead_zone=1e-3))
        history = neko.Trainer(rule).train(
            data.x_train, data.y_train, epochs=epochs, validation=(data.x_test, data.y_test), progress=False
        )
        each = [100 * accuracy for accuracy in history["val_accuracy"]]
        print(
            f"{name} | best {max(each):.1f} % | last {each[-1]:.1f} % | {history['pulses'][-1]:.0f} pulses", flush=True
        )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
