"""An encoder as a part of a model's evaluator and of a run."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import neko
from neko import encoders, runs
from neko.cli import app

CODE = "step_forward(threshold=0.3)"
OWN = """
import numpy as np

class Held:
    \"\"\"Each sample for three steps, and its sign beside it.\"\"\"
    def __init__(self, low=0.0):
        self.low = low
    def encode(self, signal):
        x = np.repeat(signal, 3, axis=1)
        return np.concatenate([x > self.low, x < -self.low], axis=-1).astype(np.float32)
"""


def signals(timed=False):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 20, 2)).cumsum(axis=1)
    y = np.eye(2)[rng.integers(2, size=(6, 20) if timed else 6)]
    mask = np.ones((6, 20))
    mask[2, 12:] = 0.0
    return x, y, mask


def evaluator(backend="torch", **options):
    options = {"loss": "categorical_crossentropy", "metrics": ["accuracy"]} | options
    return neko.Evaluator(neko.ALIF(8, 2, backend, tau_m=20.0), **options)


@pytest.mark.parametrize("timed", [False, True])
def test_signals_give_what_their_spikes_give(timed):
    x, y, mask = signals(timed)
    spikes = encoders.resolve(CODE).encode(x)
    assert set(np.unique(spikes)) == {-1.0, 0.0, 1.0}
    coded, plain = evaluator(encoder=CODE), evaluator()
    for model, data in ((coded, x), (plain, spikes)):
        neko.Trainer(neko.Eprop(model, learning_rate=0.01)).train(data, y, mask, epochs=3, progress=False)
    np.testing.assert_array_equal(coded.predict(x, mask), plain.predict(spikes, mask))
    assert coded.evaluate(x, y, mask) == plain.evaluate(spikes, y, mask)
    batches = [(x[:3], y[:3], mask[:3]), (x[3:], y[3:], mask[3:])]
    assert coded.evaluate(batches) == pytest.approx(plain.evaluate(spikes, y, mask), rel=1e-6)
    assert np.abs(coded.predict(x) - plain.predict(x)).max() > 1e-3, "the encoder does nothing"


def test_targets_and_mask_are_repeated_for_the_steps_of_a_sample(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    x, y, mask = signals(timed=True)
    coded = evaluator(encoder=f"{tmp_path / 'own.py'}:Held(low=0.5)")
    prepared = coded.examples(x, y, mask)
    assert prepared.x.shape == (6, 60, 4)
    np.testing.assert_array_equal(prepared.y[0, ::3], y[0])
    np.testing.assert_array_equal(prepared.y[0, 2::3], y[0])
    np.testing.assert_array_equal(prepared.mask[:, 1::3], mask)
    assert coded.predict(x, every_step=True).shape == (6, 60, 2)
    # One output per class and as many steps as classes: the target of a sequence is not taken for one with time.
    short = evaluator(encoder=f"{tmp_path / 'own.py'}:Held")
    assert short.examples(x[:, :2], np.eye(2)[[0, 1] * 3]).y.shape == (6, 2)


def test_the_encoder_is_part_of_the_identity_and_refused_where_signals_come_in_pieces():
    x, _, _ = signals()
    coded = evaluator(encoder=CODE)
    assert coded.identity()["encoder"] != evaluator(encoder="step_forward(threshold=0.31)").identity()["encoder"]
    assert coded.clone().identity() == coded.identity() != evaluator().identity()
    assert "StepForward" in repr(coded)
    with pytest.raises(TypeError, match="whole signals"):
        neko.inference.Stepwise(coded)
    with pytest.raises(ValueError, match="whole signals"):
        neko.Eprop(coded, stream=True)
    with pytest.raises(ValueError, match=r"expected signals for the encoder, \(batch, time, channels\)"):
        coded.predict(x[0])
    with pytest.raises(ValueError, match="did you mean 'step_forward'"):
        evaluator(encoder="step_forwards")
    with pytest.raises(TypeError, match="encode"):
        evaluator(encoder=3)


def test_a_run_keeps_its_encoder_its_cell_options_and_both_directions(tmp_path):
    """Trained, shown and loaded, a run reads signals."""
    (tmp_path / "waves.py").write_text(
        "import numpy as np\nfrom neko.datasets import Dataset\n"
        "def load(*, count=40):\n"
        "    rng = np.random.default_rng(0)\n"
        "    y = rng.integers(2, size=count)\n"
        "    t = np.arange(30)[None, :, None]\n"
        "    x = np.sin((0.2 + 0.3 * y[:, None, None]) * t + rng.uniform(0, 6, (count, 1, 1))).astype(np.float32)\n"
        "    return Dataset(x, y, x[:9], y[:9], 2)\n"
    )
    data = f"{tmp_path / 'waves.py'}:load(count=50)"
    given = ["--encoder", CODE, "--cell", "lif(tau_m=15.0)", "--bidirectional", "--data", data]
    rest = ["--hidden", "12", "--epochs", "2", "--target", "mean", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, ["train", *given, *rest])
    assert done.exit_code == 0, done.output
    config = runs.read_config(tmp_path / "run" / runs.CONFIG)
    assert (config.encoder, config.cell, config.bidirectional) == (CODE, "lif(tau_m=15.0)", True)
    trainer = runs.load(tmp_path / "run")
    model = trainer.rule.model
    assert model.encoder == encoders.resolve(CODE)
    assert model.network.cells[0].tau_m == 15.0
    assert model.params["backward.layers.0.w_in"].shape == (1, 12)
    loaded = neko.datasets.load(data)
    assert len(loaded.x_train) == 50
    found = model.evaluate(loaded.x_test, loaded.one_hot().y_test)
    assert found["loss"] == pytest.approx(trainer.history["val_loss"][-1], rel=1e-6)
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "run")])
    assert shown.exit_code == 0, shown.output
    assert "step_forward" in shown.output
    refused = CliRunner().invoke(app, ["train", "--cell", "lif(tau=3)", *rest[:-2], "--out", str(tmp_path / "x")])
    assert refused.exit_code == 2
    assert "tau" in refused.output
