"""The oracles of gradient rules, on a network of a user's cell."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neko.evaluator import Evaluator
from neko.objective import FiringRate
from neko.training.pairs import BPTT, RTRL, Eprop
from neko.verification import form
from neko.verification.form import BrokenError
from neko.verification.truth import eprop_by_autodiff, unrolled_loss

N_IN, OUTPUTS, TIME = 4, 2, 20
Gradients = dict[str, np.ndarray]


class Case(NamedTuple):
    """A network of the cell with data at which it is alive, and its gradient by backpropagation."""

    xp: Any
    evaluator: Evaluator
    x: np.ndarray
    y: np.ndarray
    mask: np.ndarray
    bptt: Gradients

    @property
    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a rule takes."""
        return self.x, self.y, self.mask


def case_of(xp: Any, cell: Any, scale: float, seed: int) -> Case:
    """Data with a mask and a penalty on firing rates, so that these are part of every proof."""
    rng = np.random.default_rng(seed)
    regularizer = FiringRate(target=50.0, strength=3.0)
    evaluator = Evaluator(form.network(xp, cell, N_IN, OUTPUTS, seed), loss="mse", regularizer=regularizer)
    x = scale * rng.standard_normal((form.BATCH, TIME, N_IN))
    y = rng.standard_normal((form.BATCH, TIME, OUTPUTS))
    mask = np.ones((form.BATCH, TIME))
    mask[1, 2 * TIME // 3 :] = 0.0
    bptt = gradients(BPTT(evaluator, jit=False), (x, y, mask))
    return Case(xp, evaluator, x, y, mask, bptt)


def gradients(rule: Any, data: Any) -> Gradients:
    """A rule's gradient on the host."""
    return {name: np.asarray(rule.xp.to_numpy(g)) for name, g in rule.gradients(*data)[1].items()}


def error(found: Gradients, expected: Gradients) -> float:
    """Largest deviation over all tensors, each relative to the largest entry that is expected."""
    worst = 0.0
    for name, truth in expected.items():
        if not np.isfinite(found[name]).all() or not np.isfinite(truth).all():
            raise BrokenError(f"the gradient of {name} is not finite")
        worst = max(worst, float(np.abs(found[name] - truth).max() / max(np.abs(truth).max(), 1e-300)))
    return worst


def surrogate(case: Case) -> float:
    """The smallest of the largest entries of the gradients; none may be zero."""
    largest = {name: float(np.abs(g).max()) for name, g in case.bptt.items()}
    for name, value in largest.items():
        if not np.isfinite(value):
            raise BrokenError(
                f"the gradient of {name} is {value}: look for a derivative that is infinite, as of sqrt at 0"
            )
    dead = [name for name, value in largest.items() if value == 0.0]
    if dead:
        raise BrokenError(
            f"{', '.join(dead)} get no gradient: the emission does not depend on the currents differentiably; emit "
            "surrogate(xp, u) in place of a bare threshold, and detach less"
        )
    return min(largest.values())


def loss(case: Case) -> float:
    """The network's loss against a plain loop over time, written from the definition."""
    xp, evaluator = case.xp, case.evaluator
    readout = evaluator.network.readout
    batch = evaluator.batch(*(xp.asarray(a) for a in case.data))
    found = BPTT(evaluator, jit=False).gradients(*case.data)[0]
    truth = unrolled_loss(
        xp,
        evaluator.network.cells,
        evaluator.params,
        batch.x,
        lambda y: evaluator.objective.value(xp, y, batch),
        cut_recurrent=False,
        cut_upward=False,
        kappa=readout.kappa,
        readout_scaling=readout.gain != 1.0,
    )
    return abs(float(found) - float(truth)) / abs(float(truth))


def rtrl(case: Case) -> float:
    """Real-time recurrent learning against backpropagation through time: two exact rules, one gradient."""
    return error(gradients(RTRL(case.evaluator, jit=False), case.data), case.bptt)


def eprop(case: Case, mode: str) -> float:
    """e-prop against automatic differentiation of the network with exactly its cuts."""
    rule = Eprop(case.evaluator, mode=mode, jit=False)
    found = gradients(rule, case.data)
    feedback = None if mode == "symmetric" else [rule.feedback["feedback.0"]]
    truth = eprop_by_autodiff(case.xp, case.evaluator, case.evaluator.params, *case.data, feedback)
    return error(found, {name: np.asarray(case.xp.to_numpy(g)) for name, g in truth.items()})


def forms(case: Case) -> float:
    """e-prop in chunks, and step by step, against e-prop of the whole sequence."""
    whole = gradients(Eprop(case.evaluator, jit=False), case.data)
    pieces = gradients(Eprop(case.evaluator, chunk=6, jit=False), case.data)
    steps = gradients(Eprop(case.evaluator, stepwise=True, jit=False), case.data)
    return max(error(pieces, whole), error(steps, whole))


def outputs(case: Case) -> Gradients:
    """The network's outputs, for a comparison between backends."""
    return {"outputs": np.asarray(case.evaluator.model.predict(case.x))}
