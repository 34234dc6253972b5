"""What the table of Bayesian methods says follows from its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from neko import datasets
from neko.bayes import METHODS
from neko.experiments import Results, Trial
from neko.experiments.uncertainty import claims
from neko.experiments.uncertainty.measuring import centre, starts, trained
from neko.experiments.uncertainty.methods import MALA, MIXED, POINT, PRIOR, QUICK, ROWS, VARIATIONAL

CHAINS = ("R-hat of predictions", "predictions of R-hat up to 1.05", "R-hat of the likelihood", "trend p")


def results(**nll):
    """One trial for each row, with its negative log likelihood."""
    common = {"accuracy": 0.6, "calibration error": 0.05, "processor seconds": 9.0, "rank test p": 1e-9}
    common |= {"AUROC": 0.8, "AUROC if calibrated": 0.7}
    found = []
    for row, value in nll.items():
        chains = {}
        if ROWS[row].sampler:
            mixed = value < 1.0
            chains = dict(zip(CHAINS, (1.01, 0.99, 1.02, 0.4) if mixed else (3.1, 0.1, 2.7, 1e-4), strict=True))
        found.append((Trial(row, 0), {**common, claims.NLL: value, **chains}))
    return Results(found)


def test_the_best_of_each_kind_is_that_of_the_lowest_likelihood_loss():
    said = claims.told(results(**{POINT: 1.2, VARIATIONAL: 1.1, "ensemble of five": 0.9, "five mean-field": 0.8}), ROWS)
    assert f"the best is *{VARIATIONAL}* (" in said
    assert "combine several is *five mean-field* (" in said
    turned = claims.told(
        results(**{POINT: 1.1, VARIATIONAL: 1.2, "ensemble of five": 0.8, "five mean-field": 0.9}), ROWS
    )
    assert f"the best is *{POINT}* (" in turned
    assert "combine several is *ensemble of five* (" in turned
    assert "samplers" not in said


def test_chains_that_agree_have_mixed_and_others_have_not():
    said = claims.told(results(**{POINT: 1.0, MALA: 2.0, PRIOR: 0.5}), ROWS)
    assert f"*{MALA}* not mixed (R-hat of predictions 3.10 in the median, 10 % of them" in said
    assert f"*{PRIOR}* mixed (R-hat of predictions 1.01" in said
    sghmc = "cyclical SGHMC from Adam"
    assert f"*{sghmc}* agrees, but has no accept test (" in claims.told(results(**{sghmc: 0.5}), ROWS)


def test_a_rank_below_that_of_a_calibrated_predictor_is_named():
    found = results(**{POINT: 1.0, VARIATIONAL: 0.9})
    assert "nowhere below that of a calibrated predictor" in claims.told(found, ROWS)
    worse = Results([(trial, m | ({"AUROC": 0.69} if trial.row == POINT else {})) for trial, m in found])
    assert f"but for {POINT} (by -0.010 at most)" in claims.told(worse, ROWS)


def test_rows_are_of_registered_methods_and_one_step_or_forty():
    assert {recipe.method for recipe in ROWS.values()} <= set(METHODS)
    assert set(QUICK) <= set(ROWS)
    assert [row for row, recipe in ROWS.items() if recipe.sequence] == [
        row for row in ROWS if row.startswith("40 steps")
    ]


def test_settings_tell_every_number():
    told = ROWS[VARIATIONAL].told()
    assert "mean_field: " in told
    assert "'layers.*': 0.007" in told
    assert "initial_factor {'layers.*': 0.1" in told
    assert "scaled by the last 10% of the examples" in ROWS["Adam, temperature scaling"].told()
    assert "leaks from 0.3 to 0.98" in ROWS[f"{MIXED}, Adam"].told()


@pytest.fixture(scope="module")
def data():
    return datasets.load("mnist1d-step").one_hot().first(60, 20)


@pytest.mark.slow
def test_warm_chains_start_from_networks_of_their_own(data):
    recipe = ROWS[MALA].quick()
    found = starts(recipe, data, 6, "torch", 0)
    assert len(found) == recipe.options["chains"] == 2
    assert not np.allclose(found[0]["layers.0.w_in"], found[1]["layers.0.w_in"])
    rule = trained(recipe, data, 6, "torch", 0)
    for chain, start in enumerate(found):
        np.testing.assert_array_equal(rule.starts[chain]["readout.w_out"], start["readout.w_out"])


def test_the_mean_network_of_dropout_has_no_mask(data):
    rule = trained(ROWS["dropout, mean network"].quick(), data, 6, "torch", 0)
    mean = centre(rule, data)
    assert mean.samples.shape == (1, 20, 10)
    np.testing.assert_array_equal(mean.samples[0], rule.model.predict(data.x_test))
    assert not np.allclose(mean.samples[0], rule.posterior.mean_prediction)
