"""e-prop with pulses to noisy, soft-bounded devices: ALIF-128 on MNIST rows.

``python -m benchmarks.eprop_devices [EPOCHS]`` prints the test accuracy after each epoch, beside the same network
with Adam in ``benchmarks.listing1``. Every weight is held by two devices of 4,000 steps, with a spread of 30 % from
device to device and 30 % noise from pulse to pulse; gradients below the dead zone make no pulse, for soft bounds
forget a little with each one.
"""

from __future__ import annotations

import sys

import neko
from neko import datasets
from neko.devices import SoftBounds


def main(epochs: int = 20) -> None:
    data = datasets.load("mnist").one_hot()
    model = neko.Evaluator(
        neko.ALIF(128, 10, "jax"), loss="categorical_crossentropy", metrics=["accuracy", "firing_rate"]
    )
    device = SoftBounds(dg_min=5e-7, dg_min_dtod=0.3, dg_min_std=0.3)
    rule = neko.Eprop(model, optimizer=neko.Manhattan(device=device, w_max=3.0, dead_zone=1e-3))
    trainer = neko.Trainer(rule)
    for epoch in range(1, epochs + 1):
        history = trainer.train(
            data.x_train, data.y_train, validation=(data.x_test, data.y_test), seed=epoch, progress=False
        )
        print(f"{epoch} | {100 * history['val_accuracy'][-1]:.1f} % | {history['pulses'][-1]:.0f} pulses", flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
