"""Rules with backward weights of their own, against a backward pass through time that is written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.verification.cases import Case, Gradients, max_relative_error, on_host
from neko.verification.oracles import ORACLES
from neko.verification.reference import constants_of, currents_of, rate_penalty, with_constants

Steps = list[tuple[Any, Any, Any]]
"""Of a layer at each step: its input, the state before, and the currents."""


@ORACLES.register("backward weights")
def backward_weights(case: Case, rule: Any) -> float:
    """Fixed backward weights."""
    found = on_host(case.xp, rule.gradients(*case.data)[1])
    return max_relative_error(found, by_hand(case, kept(case, rule)))


@ORACLES.register("signs of weights")
def signs_of_weights(case: Case, rule: Any) -> float:
    """The signs of the weights times their mean magnitude."""
    found, params = (on_host(case.xp, a) for a in (rule.gradients(*case.data)[1], case.evaluator.params))
    backward = {name: np.sign(w) * np.abs(w).mean() for name, w in params.items() if w.ndim > 1}
    return max_relative_error(found, by_hand(case, backward))


@ORACLES.register("equal updates")
def equal_updates(case: Case, rule: Any) -> float:
    """Backward weights with the gradient of the forward weights."""
    found, backward = on_host(case.xp, rule.gradients(*case.data)[1]), kept(case, rule)
    expected = by_hand(case, backward)
    return max_relative_error(found, {**expected, **{f"feedback.{name}": expected[name] for name in backward}})


@ORACLES.register("mirrored noise")
def mirrored_noise(case: Case, rule: Any) -> float:
    """Backward weights with the gradient of half the squared distance to the correlations of noise across a layer."""
    own, random, backward = rule.gradient, case.xp.random, kept(case, rule)
    found, params = (on_host(case.xp, a) for a in (rule.gradients(*case.data)[1], case.evaluator.params))
    expected = by_hand(case, backward)
    keys = random.split(random.fold(random.key(own.feedback_seed), rule.steps), len(backward))
    for i, (name, b) in enumerate(backward.items()):
        noise = np.asarray(case.xp.to_numpy(random.normal(keys[i], (own.mirror_samples, len(b)))))
        mirror = np.einsum("ki,kj->ij", noise, noise @ params[name]) / own.mirror_samples
        expected[f"feedback.{name}"] = own.mirror_rate * (b - mirror)
    return max_relative_error(found, expected)


@ORACLES.register("direct feedback")
def direct_feedback(case: Case, rule: Any) -> float:
    """The filtered error at every layer by a matrix of its own, and backward weights within each layer."""
    found, feedback = on_host(case.xp, rule.gradients(*case.data)[1]), kept(case, rule)
    above = [f"layers.{i}.w_in" for i in range(1, len(case.evaluator.network.cells))] + ["readout.w_out"]
    backward = {name: b if name.endswith("w_rec") else 0.0 * b for name, b in feedback.items()}
    backward |= {name: 0.0 * np.asarray(case.xp.to_numpy(case.evaluator.params[name])) for name in above}
    return max_relative_error(found, by_hand(case, backward, [feedback[name] for name in above]))


def kept(case: Case, rule: Any) -> Gradients:
    """The feedback weights of a rule by the names of the weights, in their order."""
    rule.start(case.x)
    feedback = on_host(case.xp, rule.feedback)
    return {name.removeprefix("feedback."): b for name, b in feedback.items()}


def by_hand(case: Case, backward: Gradients, direct: list[np.ndarray] | None = None) -> Gradients:
    """Gradients of loss and rate penalty, in which credit passes back through the matrices `backward` by name, and from
    the readout to each layer through `direct` (n, outputs) as well.

    Of each step only the derivative of ``dynamics`` is automatic; all products are written out.
    """
    xp, evaluator = case.xp, case.evaluator
    cells = evaluator.network.cells
    batch = evaluator.batch(*(xp.asarray(a) for a in case.data))
    runs, z = [], list(xp.unstack(batch.x))
    for i, cell in enumerate(cells):
        steps, z = run(xp, cell, evaluator.params, i, z)
        runs.append((steps, z))
    credit, gradients = at_readout(case, batch, [zs for _, zs in runs], backward["readout.w_out"], direct)
    for i in reversed(range(len(cells))):
        below = credit[i - 1] if i else np.zeros((*batch.x.shape[:2], batch.x.shape[2]))
        gradients |= through_layer(case, i, runs[i][0], credit[i], backward, below)
    return gradients


def run(xp: Any, cell: Any, params: Any, index: int, x: list[Any]) -> tuple[Steps, list[Any]]:
    """The steps of a layer, and its emissions."""
    state, steps, emissions = cell.initial_state(xp, x[0].shape[0]), [], []
    valued = with_constants(xp, cell, params, index)
    for x_t in x:
        currents = tuple(currents_of(xp, cell, params, index, x_t, state[-1]))
        steps.append((x_t, state, currents))
        state = valued.dynamics(xp, state, *currents)
        emissions.append(state[-1])
    return steps, emissions


def at_readout(
    case: Case, batch: Any, z: list[list[Any]], b_out: np.ndarray, direct: list[np.ndarray] | None
) -> tuple[list[np.ndarray], Gradients]:
    """The credit (time, batch, n) of the emissions of every layer, and the gradients of the readout."""
    xp, evaluator, readout = case.xp, case.evaluator, case.evaluator.network.readout
    params, f, outputs = evaluator.params, 0.0, []
    for z_t in z[-1]:
        f = readout.kappa * f + readout.gain * (z_t @ params["readout.w_out"])
        outputs.append(f + params["readout.b_out"])
    error = np.asarray(xp.to_numpy(evaluator.objective.error(xp, xp.stack(outputs, axis=0), batch)[1]))
    drive, later = np.zeros_like(error), np.zeros_like(error[0])
    for t in reversed(range(len(error))):
        later = readout.kappa * later + readout.gain * error[t]
        drive[t] = later
    credit = [np.zeros((len(zs), *zs[0].shape)) for zs in z]
    if evaluator.objective.regularizer is not None and any(cell.spiking for cell in evaluator.network.cells):
        _, found = xp.value_and_grad(lambda a: rate_penalty(xp, evaluator, a, batch))(z)
        credit = [np.stack([np.array(xp.to_numpy(a)) for a in zs]) for zs in found]
    credit[-1] += drive @ b_out.T
    for own, b in zip(credit, direct or [], strict=False):
        own += drive @ b.T
    top = np.stack([xp.to_numpy(a) for a in z[-1]])
    return credit, {"readout.w_out": np.einsum("tbn,tbo->no", top, drive), "readout.b_out": error.sum(axis=(0, 1))}


def through_layer(
    case: Case, index: int, steps: Steps, credit: np.ndarray, backward: Gradients, below: np.ndarray
) -> Gradients:
    """The gradients of a layer from the credit of its emissions; that of its inputs is added to `below`."""
    xp, cell, name = case.xp, case.evaluator.network.cells[index], f"layers.{index}"
    used = [field for field, a in enumerate(steps[0][1]) if a is not None]
    others = np.tile(1.0 - (not cell.autapses) * np.eye(cell.units), len(cell.recurrent_currents))

    constants = {full: case.evaluator.params[full] for full in constants_of(case.evaluator.params, index)}

    def step(local: Any, currents: Any, constants: Any) -> Any:
        fields: list[Any] = [None] * len(steps[0][1])
        for field, a in zip(used, local, strict=True):
            fields[field] = a
        after = with_constants(xp, cell, constants, index).dynamics(xp, cell.State(*fields), *currents)
        return tuple(after[field] for field in used)

    later, total = [np.zeros_like(credit[0]) for _ in used], dict.fromkeys(("w_in", "w_rec", "b"), np.zeros(()))
    total |= {full.removeprefix(f"{name}."): np.zeros(()) for full in constants}
    for t in reversed(range(len(steps))):
        x_t, before, currents = steps[t]
        later[-1] = later[-1] + credit[t]
        _, pullback = xp.vjp(step, tuple(before[field] for field in used), currents, constants)
        local, delta, slopes = pullback(tuple(xp.asarray(a) for a in later))
        for full, slope in slopes.items():
            total[full.removeprefix(f"{name}.")] = total[full.removeprefix(f"{name}.")] + xp.to_numpy(slope)
        later, delta = ([np.array(xp.to_numpy(a)) for a in arrays] for arrays in (local, delta))
        onto, within = (
            np.concatenate([delta[0][:, :0], *(delta[c] for c in fed)], axis=1)
            for fed in (cell.input_currents, cell.recurrent_currents)
        )
        total["w_in"] = total["w_in"] + np.asarray(xp.to_numpy(x_t)).T @ onto
        total["w_rec"] = total["w_rec"] + np.asarray(xp.to_numpy(before[-1])).T @ within
        total["b"] = total["b"] + np.concatenate(delta, axis=1).sum(axis=0)
        if cell.recurrent_currents:
            later[-1] = later[-1] + within @ (others * backward[f"{name}.w_rec"]).T
        if index:
            below[t] += onto @ backward[f"{name}.w_in"].T
    if cell.recurrent_currents:
        total["w_rec"] = others * total["w_rec"]
    return {f"{name}.{key}": np.asarray(g) for key, g in total.items() if f"{name}.{key}" in case.evaluator.params}
