"""The same training step by the library."""

from __future__ import annotations

from typing import Any

import neko
from benchmarks.shapes import BETA, LEARNING_RATE, TAU_A, TAU_M, TAU_OUT, Steps, data, weights

NAMES = {"w_in": "layers.0.w_in", "w_rec": "layers.0.w_rec", "w_out": "readout.w_out", "b_out": "readout.b_out"}


def training(shape: tuple[int, ...], v_th: float, backend: str, rule: str, **options: Any) -> Steps:
    """Forward, loss, gradients by ``neko.<rule>(…, **options)``, Adam."""
    xp = neko.backend.get(backend)
    cell = neko.cells.ALIF(shape[3], tau_m=TAU_M, tau_a=TAU_A, beta=BETA * v_th, v_th=v_th)
    model = neko.Model(cell, shape[4], xp, tau_out=TAU_OUT)
    model.params = {NAMES[name]: xp.asarray(w) for name, w in weights(shape).items()}
    evaluator = neko.Evaluator(model, loss="categorical_crossentropy")
    learn = getattr(neko, rule)(evaluator, learning_rate=LEARNING_RATE, **options)
    x, y = (xp.asarray(a) for a in data(shape))
    return Steps(lambda: learn.step(x, y)["loss"], lambda: float(model.record(x)[0].z.mean()))
