"""Numbers that go wrong: where they did is said, and what was good is kept; spikes that never or always come."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.errors import ActivityWarning, NonFiniteError
from neko.io import checkpoint

RNG = np.random.default_rng(1)
X = RNG.random((12, 5, 3)).astype(np.float32)
Y = np.eye(2, dtype=np.float32)[RNG.integers(2, size=12)]
RULES = {
    "bptt": neko.BPTT,
    "eprop": neko.Eprop,
    "chunks": lambda model, **options: neko.Eprop(model, chunk=2, **options),
    "online": lambda model, **options: neko.Eprop(model, chunk=2, online=True, stream=True, **options),
    "truncated": lambda model, **options: neko.BPTT(model, truncation=2, **options),
    "adaptive": lambda model, **options: neko.Eprop(model, mode="adaptive", **options),
    "rtrl": neko.RTRL,
}


def evaluator(backend, loss="mse"):
    return neko.Evaluator(neko.LIF(4, 2, backend, task_type="regression"), loss)


def root(xp, prediction, target):
    """``Σ_k |y_k| ∞``-like: finite everywhere, its slope infinite at 0: ``Σ_k √|y_k - t_k|``."""
    return xp.sum(xp.sqrt(xp.abs(prediction - target)), axis=-1)


def host(rule):
    return {name: np.array(rule.xp.to_numpy(w)) for name, w in rule.model.params.items()}


def fails(rule, x, y, *, after=0, updates=1):
    """The error of a step after some good ones, with parameters held to those of before it."""
    for _ in range(after):
        rule.step(X, Y)
    rule.start(x)
    before = host(rule)
    with pytest.raises(NonFiniteError) as caught:
        rule.step(x, y)
    for name, w in host(rule).items():
        assert np.array_equal(w, before[name]), name
        assert np.isfinite(w).all()
    error = caught.value
    assert str(error).startswith(f"step {error.step}: {error.tensor} is not finite; ")
    assert "try" in str(error)
    assert error.step == after * updates == rule.steps
    return error


@pytest.mark.quick("torch")
@pytest.mark.parametrize(
    ("backend", "kind"),
    [*(("torch", kind) for kind in RULES), *((name, "chunks") for name in backends.installed()[1:])],
)
def test_a_loss_that_overflows_stops_the_run(backend, kind):
    rule = RULES[kind](evaluator(backend), learning_rate=1e-2)
    error = fails(rule, X, 1e30 * Y, after=2, updates=3 if kind == "online" else 1)
    assert error.tensor == "loss"
    assert "targets and inputs of this batch" in str(error)
    assert "clip_norm=1.0" in str(error)
    assert np.isfinite(rule.step(X, Y)["loss"])


@pytest.mark.parametrize("backend", backends.installed())
def test_a_gradient_that_is_infinite_where_the_loss_is_not(backend):
    """The readout starts with zero biases and silent cells, so the outputs are 0, where the root is steep."""
    rule = neko.BPTT(evaluator(backend, root), optimizer="sgd", learning_rate=1e-2, clip_norm=1.0)
    error = fails(rule, 0.0 * X, 0.0 * Y)
    assert error.tensor.startswith("gradient of ")
    assert "learning_rate below 0.01, or a smaller dampening" in str(error)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
def test_an_update_that_overflows(backend):
    rule = neko.BPTT(evaluator(backend), optimizer="sgd", learning_rate=3e38)
    error = fails(rule, X, 100.0 * Y)
    assert error.tensor.endswith(" after the update")
    assert "learning_rate below 3e+38" in str(error)
    assert error.tensor.split(" after")[0] in rule.model.params


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
def test_the_last_good_checkpoint_is_kept_and_gone_on_with(backend, tmp_path):
    """Batch 2 of epoch 1 fails (of 0, 1, … each); from the checkpoint before it the run ends as if it had not."""
    batches = [(X[i : i + 4], Y[i : i + 4]) for i in (0, 4, 8)]

    class Data:
        def __init__(self, bad):
            self.bad, self.passes = bad, 0

        def __len__(self):
            return 3

        def __iter__(self):
            for number, (x, y) in enumerate(batches):
                yield x, 1e30 * y if (self.passes, number) == self.bad else y
            self.passes += 1

    def train(folder, bad):
        rule = neko.Eprop(evaluator(backend), learning_rate=1e-2)
        keep = neko.Checkpoints(tmp_path / folder, batches=1, resume=True)
        trainer = neko.Trainer(rule)
        trainer.train(Data(bad), epochs=3, callbacks=[keep], progress=False)
        return trainer

    with pytest.raises(NonFiniteError, match="step 5: loss"):
        train("kept", (1, 2))
    last = checkpoint.read(checkpoint.listed(tmp_path / "kept")[-1])
    assert (last["position"]["epoch"], last["position"]["batch"]) == (1, 2)
    assert last["learner"]["steps"] == 5
    assert all(np.isfinite(w).all() for w in last["learner"]["params"].values())
    found, whole = train("kept", None), train("whole", None)
    assert found.history == whole.history
    for name, w in host(whole.rule).items():
        assert np.array_equal(host(found.rule)[name], w), name


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
def test_the_optimizers_state_is_that_of_before(backend):
    """After the failure a step is the one that would have come without it."""
    failed, plain = (neko.BPTT(evaluator(backend), optimizer="adam", learning_rate=0.1) for _ in range(2))
    for rule in (failed, plain):
        rule.step(X, Y)
    with pytest.raises(NonFiniteError):
        failed.step(X, 1e30 * Y)
    for rule in (failed, plain):
        rule.step(X, Y)
    assert all(np.array_equal(host(failed)[name], w) for name, w in host(plain).items())


def test_a_users_module_keeps_its_weights_and_buffers():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(15, 4), torch.nn.BatchNorm1d(4))
    module.append(torch.nn.Linear(4, 2))
    rule = neko.BPTT(neko.Evaluator(module, "mse"), optimizer="sgd", learning_rate=0.1)
    rule.step(X, Y)
    before = {name: w.clone() for name, w in module.state_dict().items()}
    with pytest.raises(NonFiniteError):
        rule.step(X, 1e30 * Y)
    assert all(torch.equal(w, before[name]) for name, w in module.state_dict().items())


def test_huge_but_finite_numbers_are_let_through_without_a_warning():
    """Their sum overflows, they do not; it is the model that finds them too large, if it does."""
    model = neko.Evaluator(neko.RNN(3, 2, "torch", activation="tanh"), "mse")
    x = np.full((2, 3, 2), 3e38, np.float32)
    x[0] *= -1
    assert np.isfinite(model.evaluate(x, np.zeros((2, 2)))["loss"])
    with pytest.raises(ValueError, match=r"x\[1, 2, 0\] is nan"):
        model.evaluate(np.where(np.arange(12).reshape(2, 3, 2) == 10, np.nan, x), np.zeros((2, 2)))


def activity(model, x, **options):
    """Warnings of two epochs."""
    rule = neko.BPTT(neko.Evaluator(model, "categorical_crossentropy"), optimizer="sgd", learning_rate=1e-6)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        neko.Trainer(rule).train(x, Y, epochs=2, batch_size=4, progress=False, **options)
    assert all(issubclass(w.category, ActivityWarning) for w in caught), [str(w.message) for w in caught]
    return [str(w.message) for w in caught]


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
def test_silent_and_saturated_layers_are_warned_about(backend):
    silent = activity(neko.LIF([6, 4], 2, backend), 0.0 * X)
    assert len(silent) == 4
    assert silent[0].startswith("layer 0 (LIF, 6 neurons) was silent for an epoch: no spike")
    assert silent[1].startswith("layer 1 (LIF, 4 neurons) was silent")
    assert all("scale the inputs up, lower the threshold (v_th) or add a FiringRate regularizer" in s for s in silent)
    model = neko.ALIF(5, 2, backend, v_th=1e-6, recurrent=False, beta=0.0)
    model.build(3)
    with model.xp.scope():
        model.params["layers.0.w_in"] = model.xp.ones((3, 5))
    saturated = activity(model, X + 1.0)
    assert [s.split(":")[0] for s in saturated] == ["layer 0 (ALIF, 5 neurons) was saturated for an epoch"] * 2
    assert "1.00 spikes a step" in saturated[0] or "0." in saturated[0]
    assert "scale the inputs or weights down, raise the threshold" in saturated[0]


def test_refractory_neurons_are_saturated_below_a_spike_a_step():
    """With t_ref of 3 steps a neuron spikes at most every third step; every fourth is fine."""
    model = neko.LIF(5, 2, "torch", v_th=1e-6, tau_m=0.05, recurrent=False, t_ref=15.0, dt=5.0)
    model.build(3)
    model.params["layers.0.w_in"] = model.xp.ones((3, 5))
    x = np.ones((12, 9, 3), np.float32)
    assert np.all(model.record(x)[0][-1].mean(axis=1) == 1 / 3)  # 3 spikes in 9 steps
    assert "0.33 spikes a step" in activity(model, x)[0]
    x = np.zeros((12, 16, 3), np.float32)
    x[:, ::4] = 1.0
    assert model.record(x)[0][-1].mean() == 0.25
    assert activity(model, x) == []


def test_one_spike_is_enough_and_what_does_not_spike_is_not_warned_about():
    x = np.zeros((12, 5, 3), np.float32)
    x[3, 2] = 100.0
    model = neko.LIF(4, 2, "torch", recurrent=False)
    model.build(3)
    model.params["layers.0.w_in"] = model.xp.ones((3, 4))
    assert 0 < model.record(x)[0][-1].sum() < 30
    assert activity(model, x) == []
    assert activity(neko.RNN(4, 2, "torch"), 0.0 * x) == []
    healthy = neko.LIF(20, 2, "torch", v_th=0.3, dt=5.0)
    assert activity(healthy, 3.0 * RNG.random((12, 5, 3)).astype(np.float32)) == []


def test_spikes_of_padded_frames_are_none():
    x = np.zeros((12, 5, 3), np.float32)
    x[:3, 3:] = 100.0
    model = neko.LIF(4, 2, "torch", recurrent=False)
    model.build(3)
    model.params["layers.0.w_in"] = model.xp.ones((3, 4))
    mask = np.tile(np.arange(5) < 3, (12, 1))
    assert activity(model, x) == []
    assert len(activity(model, x, mask=mask)) == 2


@pytest.mark.parametrize("rule", [neko.BPTT, neko.Eprop])
def test_a_rate_that_no_neurons_have_is_warned_about_in_hertz(rule):
    """Four spikes in eight steps are 500 Hz at 1 ms and 250 Hz at 2 ms; three in eight are 375 Hz."""

    def warned(spikes, dt):
        model = neko.LIF(4, 2, "torch", tau_m=0.01, recurrent=False, dt=dt)
        model.build(3)
        model.params["layers.0.w_in"] = model.xp.ones((3, 4))
        x = np.zeros((12, 8, 3), np.float32)
        x[:, : 2 * spikes : 2] = 0.5
        assert model.record(x)[0].z.mean() == spikes / 8
        evaluator = neko.Evaluator(model, "categorical_crossentropy")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trainer = neko.Trainer(rule(evaluator, optimizer="sgd", learning_rate=1e-6))
            trainer.train(x, Y, epochs=2, progress=False)
        return [str(w.message) for w in caught if issubclass(w.category, ActivityWarning)]

    found = warned(4, 1.0)
    assert len(found) == 2
    assert found[0].startswith("layer 0 (LIF, 4 neurons) fired at 500 Hz on average for an epoch, with steps of 1 ms")
    assert "regularizer=FiringRate(20.0)" in found[0]
    assert warned(4, 2.0) == warned(3, 1.0) == []
