"""Mistakes that published code of learning rules has made, and what would catch each here.

Most are caught where the rule in question is proven:

- a readout's trace with the membrane's time constant; κ missing from a trace that is read out: every oracle has
  ``tau_out=7.0`` beside another ``tau_m`` (`neko.verification.form.network`), `tests/laws/test_traces.py`;
- a mask on a weight that its gradient does not have: ``w_rec`` without its diagonal, in every oracle;
- a learning signal that is zero, or many times smaller in one arm of a comparison: `test_local_rules.py`, and the root
  mean square in every comparison;
- parameters whose gradient is zero for a sequence of one step: `test_local_rules.py`;
- a comparison of silent networks: `oracle.assert_live`, and the flags of every comparison;
- a constant that is declared trainable and gets no gradient: `test_constants.py`;
- the sign of a reward: `test_spike_timing.py`;
- values that are not finite clipped away: `tests/unit/test_nonfinite.py`;
- a rule that is exact in one layer and far off in the lowest of many: oracles run on stacks, and a comparison has a row
  for each layer;
- an unbiased estimate judged by single draws, a low rank where it is exact: `test_influence.py`.
"""

from __future__ import annotations

import itertools

import numpy as np

import neko
from neko.rules import RULES
from neko.training.pairs import resolve
from neko.verification.cases import gradients, made, max_relative_error

from oracle import assert_live

SAME = (
    {"bptt", "rtrl", "ostl"},
    {"d_rtrl", "snap"},
    {"feedback_alignment", "direct_feedback_alignment", "kolen_pollack", "weight_mirror"},
)
"""Rules that are equal by theory for one layer of neurons without autapses, at the first update from one seed."""


def test_no_two_names_are_one_implementation():
    """Every pair of rules differs on a spiking network, unless it is equal by theory: then it agrees to rounding."""
    xp = neko.backend.get(neko.backend.default(), dtype="float64")
    with xp.scope():
        model = neko.Model(neko.cells.LIF(12), 2, xp, tau_out=7.0, seed=1).build(4)
        evaluator = neko.Evaluator(model, loss="mse")
        rng = np.random.default_rng(0)
        data = 4.0 * rng.standard_normal((3, 20, 4)), rng.standard_normal((3, 20, 2))
        found = {name: gradients(made(resolve(name), evaluator), data) for name in RULES}
        assert_live(evaluator, data[0], {n: g for n, g in found["bptt"].items() if "diag" not in n}, xp)
    for one, other in itertools.combinations(found, 2):
        shared = [name for name in found["bptt"] if name.startswith("layers")]
        error = max_relative_error({n: found[one][n] for n in shared}, {n: found[other][n] for n in shared})
        if any({one, other} <= group for group in SAME):
            assert error < 1e-10, (one, other)
        else:
            assert error > 1e-6, (one, other)
