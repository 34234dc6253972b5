"""The contract of gradient rules, run over their registry: a rule names an oracle, and the oracle finds it right."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko.cells import CELLS
from neko.registry import Registry
from neko.rules import RULES
from neko.rules.base import Gradient, GradientRule
from neko.training.pairs import resolve
from neko.verification import cases, judged, judged_rules
from neko.verification.form import find_scale
from neko.verification.oracles import ORACLES

from oracle import assert_live, judged_params

EXACT = 1e-9
JUDGED = judged_rules()
OF_EACH = {name.split(":")[0]: (name, oracle) for name, oracle in JUDGED}
"""Each rule in one of its modes."""
REFUSED = {"gru": {"ottt", "reward_stdp", "stdp"}, "stack": {"kernl"}}
"""Rules that are not defined for a GRU, which has no spikes and no leak, or for a stack."""


@pytest.fixture(scope="module", params=["alif", "gru", "stack"])
def case(request):
    xp = neko.backend.get(neko.backend.default(), dtype="float64")
    with xp.scope():
        if request.param != "stack":
            cell = CELLS[request.param](6)
            scale, _ = find_scale(xp, cell, cases.N_IN, 0)
            yield cases.build_case(xp, cell, scale, 0)
            return
        made = cases.build_case(xp, CELLS["alif"](5), 4.0, 0)
        cells = [CELLS["alif"](5), CELLS["lif"](4, v_th=0.3)]
        model = neko.Model(cells, 2, xp, tau_out=7.0, seed=1).build(cases.N_IN)
        evaluator = neko.Evaluator(model, loss="mse", regularizer=made.evaluator.objective.regularizer)
        exact = cases.gradients(cases.made(neko.BPTT, evaluator), made.data)
        assert_live(evaluator, made.x, exact, xp)
        yield made._replace(evaluator=evaluator, bptt=exact)


def refused(case, name):
    cells = case.evaluator.network.cells
    kind = "stack" if len(cells) > 1 else "gru" if not cells[0].spiking else "alif"
    return name.split(":")[0] in REFUSED.get(kind, ())


def test_there_are_rules_and_every_oracle_judges_one():
    assert {"bptt", "rtrl", "eprop"} <= set(RULES)
    assert {oracle for _, oracle in JUDGED} == set(ORACLES)


@pytest.mark.parametrize(("name", "oracle"), judged_params(JUDGED))
def test_every_rule_is_what_its_oracle_says(case, name, oracle):
    if refused(case, name):
        with pytest.raises(ValueError, match="expected"):
            resolve(name)(case.evaluator)
        return
    assert judged(case, oracle, resolve(name)) < EXACT


@pytest.mark.parametrize("case", ["alif"], indirect=True)
@pytest.mark.parametrize(("name", "oracle"), list(OF_EACH.values()))
def test_an_oracle_finds_a_rule_wrong_that_is(case, name, oracle):
    """One gradient is a hundredth too large."""
    rule = resolve(name)(case.evaluator)
    exact = rule.gradient.differentiate

    def wrong(*arguments):
        found = exact(*arguments)
        return found._replace(gradients={**found.gradients, "layers.0.w_in": 1.01 * found.gradients["layers.0.w_in"]})

    rule.gradient.differentiate = wrong
    rule.start(case.x)
    assert ORACLES[oracle](case, rule) > 1e-3


def test_a_rule_without_an_oracle_is_refused():
    with pytest.raises(ValueError, match=r"rule 'hebb': expected oracle=…"):
        RULES.register("hebb")
    assert isinstance(RULES, Registry)
    assert "hebb" not in RULES


class Hebb(GradientRule):
    """A rule without a loss to follow."""

    local = False
    has_objective = False

    def differentiate(self, params, feedback, batch, carry):
        return Gradient(None, params, None)


@pytest.mark.parametrize("sampler", [neko.Langevin, neko.HMC, neko.SGLD])
def test_no_sampler_is_driven_by_a_rule_without_a_loss(sampler):
    model = neko.Evaluator(neko.LIF(4, 2, neko.backend.default()), loss="categorical_crossentropy")
    with pytest.raises(TypeError, match="does not follow the gradient of a loss"):
        sampler(model, drift=Hebb)


def test_a_samplers_drift_holds_no_optimizer():
    model = neko.Evaluator(neko.LIF(4, 2, neko.backend.default()), loss="categorical_crossentropy")
    for drift in ("eprop:random", neko.Eprop, neko.rules.Eprop, neko.BPTT):
        found = neko.Langevin(model, drift=drift).drift
        assert isinstance(found, GradientRule)
        assert not hasattr(found, "update")


def test_a_rule_that_streams_learns_online_and_the_others_say_so():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 12, 4)), rng.standard_normal((3, 12, 2))
    for name, rule in RULES.items():
        model = neko.Evaluator(neko.LIF(5, 2, neko.backend.default(), seed=1), loss="mse")
        if rule.streams:
            learning = resolve(name)(model, chunk=4, online=True)
            learning.step(x, y)
            assert learning.steps == 3
        else:
            with pytest.raises(ValueError, match=f"{rule.__name__} carries no state"):
                resolve(name)(model, chunk=4, online=True)
