"""Every gradient rule behind converters is what its oracle says, and sees inputs as they enter the array."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko import Converters, Quantiser
from neko.cells import CELLS
from neko.cells.converted import converted
from neko.registry import called
from neko.training.pairs import resolve
from neko.verification import cases, judged, judged_rules
from neko.verification.form import find_scale

from oracle import assert_moves

EXACT = 1e-9
ADC, DAC = Quantiser(bits=5, full_scale=3.0), Quantiser(bits=4, full_scale=1.0)
RULES = [(name, oracle) for name, oracle in {n.split(":")[0]: (n, o) for n, o in judged_rules()}.values()]
SPIKING = {"reward_stdp", "stdp"}
"""Rules of spikes, which an RNN has not."""
BOTH = pytest.mark.parametrize("case", ["lif", pytest.param("rnn", marks=pytest.mark.slow)], indirect=True)


@pytest.fixture(scope="module", params=["lif", "rnn"])
def case(request):
    xp = neko.backend.get("torch", dtype="float64")
    with xp.scope():
        cell = CELLS[request.param](6)
        scale, _ = find_scale(xp, cell, cases.N_IN, 0)
        plain = cases.build_case(xp, cell, scale, 0)
        made = cases.build_case(xp, converted(cell, ADC, DAC), scale, 0)
        assert_moves(made.bptt, plain.bptt)
        yield made


@BOTH
@pytest.mark.parametrize(("name", "oracle"), RULES)
def test_every_rule_behind_converters_is_what_its_oracle_says(case, name, oracle):
    if called(name)[0] in SPIKING and not case.evaluator.network.cells[0].spiking:
        with pytest.raises(ValueError, match="expected"):
            resolve(name)(case.evaluator)
        return
    assert judged(case, oracle, resolve(name)) < EXACT


def test_generated_kernels_have_the_converters(case):
    assert cases.kernels(case) < EXACT
    assert cases.forms(case) < EXACT


@BOTH
@pytest.mark.parametrize("name", [name for name, _ in RULES])
def test_every_rule_sees_the_inputs_behind_the_dac(case, name):
    """Its gradient is that for inputs that were converted before, which the DAC leaves as they are."""
    cell = case.evaluator.network.cells[0].__class__.__mro__[2](6)
    if called(name)[0] in SPIKING and not cell.spiking:
        return
    model = neko.Model(cell, 2, case.xp, tau_out=7.0, converters=Converters(adc=ADC, dac=DAC)).build(cases.N_IN)
    rule = resolve(name)(neko.Evaluator(model, loss="mse"))
    x = np.asarray(case.xp.to_numpy(DAC(case.xp, case.xp.asarray(case.x))))
    assert np.abs(x - case.x).max() > 0.05
    found, expected = (cases.gradients(rule, (given, case.y, case.mask)) for given in (case.x, x))
    assert cases.max_relative_error(found, expected) < EXACT
