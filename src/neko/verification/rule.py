"""Numerical verification of a gradient rule: what can be held of any rule, on spiking and rate networks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from neko import backend as registry
from neko.backend.protocol import Backend
from neko.cells import CELLS
from neko.cells.base import Cell
from neko.evaluator import Evaluator
from neko.verification import cases, form, rule_checks
from neko.verification.report import Check, Report
from neko.verification.rule_checks import TIME, Subject
from neko.verification.runner import Runner, accepted

GAINS = tuple(2.0**k for k in range(11))
"""Factors of the weights between layers that are tried."""
RATE = 0.12
"""Spikes per step at which the upper layer of a stack is aimed."""
FOUNDATION = ("network", "gradients")


class Network(NamedTuple):
    """A network on which a rule is held: its name, its cells, the strength of inputs for which its first layer is
    active, and the factor of the weights between its layers for which the others are."""

    name: str
    cells: tuple[Cell, ...]
    scale: float
    gain: float = 1.0

    def evaluator(self, xp: Backend, seed: int) -> Evaluator:
        """The network with its initial weights, under a squared error."""
        model = form.network(xp, self.cells, cases.N_IN, cases.OUTPUTS, seed)
        for i in range(1, len(self.cells)):
            model.params[f"layers.{i}.w_in"] = self.gain * model.params[f"layers.{i}.w_in"]
        return Evaluator(model, loss="mse")

    def data(self, *seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of a batch."""
        rng = np.random.default_rng(seed)
        x = self.scale * rng.standard_normal((form.BATCH, TIME, cases.N_IN))
        return x, rng.standard_normal((form.BATCH, TIME, cases.OUTPUTS))


def verify_rule(
    rule: Any,
    *,
    cell: Any = None,
    backends: Sequence[str] | None = None,
    seed: int = 0,
    finished: Callable[[Check], None] = lambda check: None,
) -> Report:
    """Check what can be held of any gradient rule, in double precision, on every installed backend.

    On one layer and on a stack of two, of a spiking neuron (ALIF) and of a rate neuron (GRU), with sequences of unequal
    length: a finite gradient of every parameter, of its shape; the same numbers from the same batch; parameters and
    batch not changed; no influence of padded frames; no change where targets equal the outputs; pieces of 1, 3 and all
    steps equal to the whole; every backend equal to the first, compiled too. The alignment with BPTT over all hidden
    weights (cosine and ratio of norms) is reported without a limit.

    Parameters
    ----------
    rule : str, class or callable
        As for `neko.compare.gradients`: a name such as ``'eprop:random'``, ``'file.py:MyRule'``, a subclass of
        `GradientRule`, or a function from an evaluator to a rule.
    cell : Cell or subclass of Cell, optional
        A neuron in place of ALIF and GRU, for a rule that is not defined for these.
    backends : sequence of str, optional
        Names; by default all that are installed.
    seed : int
        Of weights and data.
    finished : callable
        Called with every check when it ends.

    Returns
    -------
    Report
        ``report.ok``, ``report.failures``, and a table as ``str(report)``.

    Raises
    ------
    TypeError, ValueError
        For what is no rule or no cell, an unknown name or backend, a cell of which no network is active.
    ImportError
        If no framework is installed.

    Notes
    -----
    A rule that is not defined for a network refuses it when it is built, by a ValueError or TypeError that says why;
    this is noted. One that refuses all networks fails. All backends but the first are compared with it, in pieces too.
    That a rule does what its definition says is not checked: that takes an oracle (see ``docs/own_rule.md``).

    Examples
    --------
    >>> import neko
    >>> report = verify_rule("eprop", cell=neko.cells.LIF, backends=["torch"])
    >>> report.ok
    True
    """
    build = rule_checks.builder(rule)
    made, chosen = None if cell is None else cases.made_cell(cell), cases.chosen(backends)
    first: dict[str, Subject] = {}
    networks: list[Network] = []
    checks: list[Check] = []
    for name in chosen:
        xp = registry.get(name, dtype="float64")
        with xp.scope():
            networks = networks or build_networks(xp, made, seed)
            for network in networks:
                checks += on_network(xp, network, build, first, seed, finished)
    if not first:
        checks.append(Check("networks", chosen[0], False, reason="no network was accepted: expected one at least"))
        finished(checks[-1])
    return Report(rule if isinstance(rule, str) else getattr(rule, "__name__", repr(rule)), tuple(checks))


def build_networks(xp: Backend, cell: Cell | None, seed: int) -> list[Network]:
    """One layer and a stack of two, of the cell or of ALIF and of GRU."""
    cells = [CELLS[name](cases.UNITS) for name in ("alif", "gru")] if cell is None else [cell]
    networks = []
    for one in cells:
        name = type(one).__name__
        try:
            single = Network(name, (one,), form.find_scale(xp, one, cases.N_IN, seed)[0])
        except form.BrokenError as error:
            raise ValueError(f"cell={one!r} makes no network to hold a rule on: {error}") from error
        stacks = [Network(f"{name}, two layers", (one, one), single.scale, gain) for gain in GAINS]
        networks += [single, min(stacks, key=lambda stack: abs(upper_rate(xp, stack, seed) - RATE))]
    return networks


def upper_rate(xp: Backend, network: Network, seed: int) -> float:
    """Spikes per step of the last layer; `RATE` for a cell that does not spike, which needs no gain."""
    if not network.cells[-1].spiking:
        return RATE
    model = network.evaluator(xp, seed).model
    x = model.arrange(xp.asarray(network.data(seed)[0]))
    emissions = model.forward(xp.forward_only(), model.params, x, None, training=False).emissions
    return float(xp.to_numpy(emissions[-1]).mean())


def on_network(
    xp: Backend,
    network: Network,
    build: Callable[[Evaluator], Any],
    first: dict[str, Subject],
    seed: int,
    finished: Callable[[Check], None],
) -> list[Check]:
    """The checks on one backend and network; `first` maps its name to what the first backend found."""
    run = Runner(xp.name, finished, FOUNDATION, f"{network.name}: ")
    found: Subject | None = run("network", lambda: subject(xp, network, build, seed), show=rule_checks.activity)
    if found is None:
        return run.checks
    before = first.setdefault(network.name, found)
    run("gradients", lambda: rule_checks.form_of_gradients(found))
    if before is found:
        for check in rule_checks.CHECKS:
            run(check.name, functools.partial(check.measure, found), limit=check.limit, wrong=check.wrong)
        aligned = functools.partial(rule_checks.alignment, found)
        run("alignment with BPTT", aligned, show=lambda pair: pair[0], remark=lambda pair: pair[1])
        return run.checks
    other, (*_, pieces) = before.xp.name, rule_checks.CHECKS
    run(f"gradients = {other}", lambda: cases.max_relative_error(found.gradients, before.gradients), limit=cases.EXACT)
    if len(network.cells) == 1:
        run(pieces.name, lambda: pieces.measure(found, (3,)), limit=pieces.limit, wrong=pieces.wrong)
        if xp.compiles:
            run("compiled = plain", lambda: rule_checks.compiled(found), limit=cases.EXACT)
    return run.checks


def subject(xp: Backend, network: Network, build: Callable[[Evaluator], Any], seed: int) -> Subject:
    """The rule on the network, with a batch in which one sequence is padded, and another batch."""
    evaluator, mask = network.evaluator(xp, seed), np.ones((form.BATCH, TIME))
    mask[1, 2 * TIME // 3 :] = 0.0
    return Subject(evaluator, accepted(build, evaluator), build, network.data(seed), network.data(seed, 1), mask)
