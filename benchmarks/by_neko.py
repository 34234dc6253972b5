"""The same training step by the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import neko
from benchmarks.shapes import BETA, TAU_A, TAU_M, TAU_OUT, V_TH, data, weights

NAMES = {"w_in": "layers.0.w_in", "w_rec": "layers.0.w_rec", "w_out": "readout.w_out", "b_out": "readout.b_out"}


def training_step(backend: str, shape: tuple[int, ...], rule: Any = neko.Eprop, **options: Any) -> Callable[[], float]:
    """A function that does one step of a rule, by default of e-prop: forward, loss, gradients, Adam."""
    xp = neko.backend.get(backend)
    cell = neko.cells.ALIF(shape[3], tau_m=TAU_M, tau_a=TAU_A, beta=BETA, v_th=V_TH)
    model = neko.Model(cell, shape[4], xp, tau_out=TAU_OUT)
    model.params = {NAMES[name]: xp.asarray(w) for name, w in weights(shape).items()}
    learn = rule(neko.Evaluator(model, loss="categorical_crossentropy"), **options)
    x, y = (xp.asarray(a) for a in data(shape))
    return lambda: learn.step(x, y)["loss"]
