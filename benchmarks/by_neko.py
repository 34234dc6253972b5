"""The same training step by the library, and other steps with its gradient."""

from __future__ import annotations

from typing import Any

import neko
from benchmarks.shapes import BETA, LEARNING_RATE, TAU_A, TAU_M, TAU_OUT, Steps, data, weights

NAMES = {"w_in": "layers.0.w_in", "w_rec": "layers.0.w_rec", "w_out": "readout.w_out", "b_out": "readout.b_out"}
TRANSITIONS = 10
"""Of a chain at a call, whose preparation is shared by them."""


def evaluator(shape: tuple[int, ...], v_th: float, backend: str, reduction: str = "mean") -> neko.Evaluator:
    """The network with its initial weights."""
    xp = neko.backend.get(backend)
    cell = neko.cells.ALIF(shape[3], tau_m=TAU_M, tau_a=TAU_A, beta=BETA * v_th, v_th=v_th)
    model = neko.Model(cell, shape[4], xp, tau_out=TAU_OUT)
    model.params = {NAMES[name]: xp.asarray(w) for name, w in weights(shape).items()}
    return neko.Evaluator(model, loss="categorical_crossentropy", reduction=reduction)


def training(shape: tuple[int, ...], v_th: float, backend: str, rule: str, **options: Any) -> Steps:
    """Forward, loss, gradients by ``neko.<rule>(…, **options)``, Adam."""
    found = evaluator(shape, v_th, backend)
    learn = getattr(neko, rule)(found, **{"learning_rate": LEARNING_RATE} | options)
    x, y = (found.xp.asarray(a) for a in data(shape))
    return Steps(lambda: learn.step(x, y)["loss"], lambda: float(found.model.record(x)[0].z.mean()))


def gradient(shape: tuple[int, ...], v_th: float, backend: str) -> Steps:
    """Forward, loss and e-prop's gradients alone."""
    found = evaluator(shape, v_th, backend)
    learn = neko.Eprop(found)
    x, y = (found.xp.asarray(a) for a in data(shape))
    return Steps(lambda: float(learn.gradients(x, y)[0]), lambda: float(found.model.record(x)[0].z.mean()))


def devices(shape: tuple[int, ...], v_th: float, backend: str, **device: Any) -> Steps:
    """Forward, loss, e-prop, a pulse to the two devices of every weight that step by so little that rates stay."""
    pulses = neko.Manhattan(device=neko.devices.ConstantStep(dg_min=2e-3 * LEARNING_RATE, **device))
    return training(shape, v_th, backend, "Eprop", optimizer=pulses, learning_rate=None)


def langevin(shape: tuple[int, ...], v_th: float, backend: str) -> Steps:
    """Transitions of a Langevin chain that follows e-prop: one gradient each, in steps so small that rates stay."""
    found = evaluator(shape, v_th, backend, "sum")
    chain = neko.Langevin(found, drift=neko.Eprop, warmup=0, step_size=LEARNING_RATE**2)
    trainer = neko.Trainer(chain)
    x, y = data(shape)

    def step() -> float:
        return trainer.train(x, y, epochs=TRANSITIONS, batch_size=shape[0], progress=False)["logdensity"][-1]

    return Steps(step, count=TRANSITIONS)
