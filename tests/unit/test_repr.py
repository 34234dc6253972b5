"""What objects say about themselves: what they are, and the options that are not the default."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import neko
from neko.updates import Cosine


def evaluator(**options):
    return neko.Evaluator(neko.LIF(4, 2, "torch"), loss="mse", **options)


def test_an_evaluator_names_loss_metrics_and_what_is_not_the_default():
    text = repr(evaluator())
    assert text.startswith("Evaluator(")
    assert text.endswith("loss='mean_squared_error')")
    text = repr(evaluator(metrics=["firing_rate"], target="mean", regularizer=neko.FiringRate(20.0)))
    for part in ("metrics=['firing_rate']", "target='mean'", "regularizer=FiringRate(target=20.0,"):
        assert part in text
    assert "reduction" not in text


@pytest.mark.parametrize(
    ("make", "shown", "hidden"),
    [
        (neko.BPTT, [], ["optimizer", "learning_rate", "truncation", "stream"]),
        (
            functools.partial(neko.Eprop, mode="random", learning_rate=Cosine(5e-3, steps=10), clip_norm=1.0),
            ["mode='random'", "learning_rate=Cosine(rate=0.005, steps=10, final=0.0)", "clip_norm=1.0"],
            ["chunk", "feedback_seed"],
        ),
        (
            functools.partial(neko.Langevin, drift=neko.Eprop, warmup=3, x_pred=np.zeros((5, 6, 3))),
            ["drift='eprop:symmetric'", "warmup=3", "x_pred=<array (5, 6, 3)>"],
            ["thinning"],
        ),
        (
            functools.partial(neko.SGLD, drift="rtrl", starts=[{"w": np.zeros((9, 9))}] * 2),
            ["drift='rtrl'", "starts=<list of 2>"],
            ["nan", "[["],
        ),
    ],
)
def test_a_learner_names_its_options_that_are_not_the_default(make, shown, hidden):
    rule = make(evaluator())
    text = repr(rule)
    assert text.startswith(f"{type(rule).__name__}({rule.model!r}")
    own = text.removeprefix(f"{type(rule).__name__}({rule.model!r}")
    for part in shown:
        assert part in own
    for part in hidden:
        assert part not in own


def test_a_trainer_tells_how_far_it_is():
    trainer = neko.Trainer(neko.BPTT(evaluator()))
    assert repr(trainer) == f"Trainer({trainer.rule!r}, <History: 0 epochs>)"
    trainer.history.append({"loss": 0.25, "accuracy": 0.5})
    assert repr(trainer.history) == "<History: 1 epochs, the last with loss 0.25, accuracy 0.5>"
