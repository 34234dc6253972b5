"""What something is, by value: equal in every process, and another one wherever a number differs."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko import cells, identity
from neko.bayes import METHODS, Laplace, Normal
from neko.bayes.gibbs import Block, RandomWalk
from neko.cells import surrogates
from neko.devices import ConstantStep, OneSidedPair, SingleDevice, SoftBounds, Stuck
from neko.errors import CheckpointError
from neko.identity import fingerprint
from neko.losses import Loss
from neko.models import weights as checkpoint
from neko.rules import RULES
from neko.training.pairs import pair
from neko.updates import Cosine, Manhattan, TikiTaka, Warmup

X = (np.random.default_rng(0).random((6, 5, 3)) < 0.5).astype(np.float32)
Y = np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 1, 0]]
OTHER = {
    "optimizer": "sgd",
    "learning_rate": 2e-3,
    "clip_norm": 1.0,
    "stream": True,
    "truncation": 2,
    "mode": "random",
    "chunk": 2,
    "stepwise": True,
    "online": True,
    "feedback_decay": 0.1,
    "feedback_seed": 1,
    "drift": neko.Eprop,
    "prior": 0.3,
    "power": 2.0,
    "temperature": 0.5,
    "x_pred": X,
    "chains": 2,
    "warmup": 3,
    "thinning": 2,
    "blocks": [Block("*", RandomWalk())],
    "memory": 1.0,
    "seed": 1,
    "step_size": 3e-4,
    "target_acceptance": 0.7,
    "scale": {"readout.w_out": 0.5},
    "mass": {"readout.w_out": 0.5},
    "leapfrog_steps": 3,
    "friction": 0.2,
    "decay": 0.9,
    "damping": 1e-4,
    "cycle_epochs": 20,
    "exploration": 0.5,
    "level": 2,
    "rank": 2,
    "mirror_samples": 5,
    "mirror_rate": 2.0,
    "learn_kernel": False,
    "kernel_rate": 0.02,
    "tau_kernel": 7.0,
    "reward": "correct",
    "baseline": "running",
    "tau_eligibility": 50.0,
    "a_plus": 0.5,
    "a_minus": 0.5,
    "tau_plus": 10.0,
    "tau_minus": 10.0,
    "w_max": 2.0,
    "draws": 7,
    "of": "swag",
    "members": 3,
    "rate": 0.2,
    "weights": ["readout.w_out"],
    "covariance": "full",
    "initial_scale": 0.2,
    "initial_factor": 0.5,
    "local": False,
    "hessian": 0.2,
    "beta1": 0.8,
    "beta2": 0.99,
    "clip_radius": 0.5,
}
"""Another value for every option of a rule or sampler."""
ALONG = {"online": {"chunk": 2}, "feedback_decay": {"mode": "adaptive"}, "feedback_seed": {"mode": "random"}}
"""What an option needs beside it."""
ELSEWHERE = {"self", "model", "jit", "workers", "starts"}
"""Arguments that identities tell elsewhere, or not: no number depends on jit and workers, and a chain's start is behind
it."""
REFUSED = {"ivon": {"optimizer", "clip_norm"}}
"""Arguments of a base class that an approximation refuses."""


def evaluator(backend="torch", **options):
    own = ("target", "reduction", "class_weights", "regularizer", "loss", "metrics")
    kinds = {name: options.pop(name) for name in own if name in options}
    return neko.Evaluator(neko.LIF(4, 2, backend, **options), **{"loss": "categorical_crossentropy", **kinds})


def constructor_options(kind):
    """Names of all arguments of constructors along the classes, up to the first that takes no ``**options``."""
    found = set()
    for each in kind.__mro__[:-1]:
        parameters = inspect.signature(each).parameters.values() if "__init__" in vars(each) else ()
        found |= {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}
        if parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found - ELSEWHERE


def rule_options(rule):
    """Names of all options of a gradient rule and of the learning rule it is in."""
    return (constructor_options(rule) | constructor_options(neko.LearningRule)) - {"gradient"}


@pytest.mark.parametrize("name", [*RULES, *METHODS])
def test_no_option_of_a_rule_or_sampler_is_missing(name):
    kind = METHODS[name] if name in METHODS else pair(RULES[name])
    names = constructor_options(METHODS[name]) if name in METHODS else rule_options(RULES[name])
    assert len(names) >= 4
    for option in names - REFUSED.get(name, set()):
        along = {name: value for name, value in ALONG.get(option, {}).items() if name in names}
        then = kind(evaluator(), **along)
        changed = OTHER[option] if option != "mode" or then.gradient.mode != "random" else "symmetric"
        then, now = then.identity(), kind(evaluator(), **along, **{option: changed}).identity()
        found = [path.partition(".")[0] for path, _, _ in identity.differences(then, now)]
        assert option in found, (option, found)
        assert not list(identity.differences(now, json.loads(json.dumps(now))))


def test_the_compiler_is_no_part_of_it():
    assert neko.BPTT(evaluator(), jit=False).identity() == neko.BPTT(evaluator()).identity()
    assert neko.BPTT(evaluator(seed=3)).identity() == neko.BPTT(evaluator()).identity()


def other_value(name, value):
    if name in ("tau_m", "v_th") and value is not None:
        return 2.5 * value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return {"activation": "relu", "reset": "zero", "surrogate": surrogates.Triangular(0.1)}[name]


@pytest.mark.parametrize("name", sorted(cells.CELLS))
def test_every_constant_of_a_cell_counts(name):
    cell = cells.get(name)(4)
    for field in dataclasses.fields(cell):
        value = getattr(cell, field.name)
        changed = dataclasses.replace(cell, **{field.name: other_value(field.name, value)})
        (difference,) = identity.differences(identity.describe(cell), identity.describe(changed))
        assert difference[0].partition(".")[0] == field.name


OBJECTIVES = {
    "objective.target": {"target": "last"},
    "objective.reduction": {"reduction": "sum"},
    "objective.regularizer": {"regularizer": neko.FiringRate(20.0)},
    "objective.loss.name": {"loss": "kl"},
    "objective.loss.function": {"class_weights": [1.0, 3.0]},
    "model.readout.tau_out": {"tau_out": 5.0},
    "model.readout.input_scaling": {"readout_scaling": True},
    "model.task_type": {"task_type": "regression"},
    "model.cells.0.dt": {"dt": 2.0},
    "metrics": {"metrics": ["accuracy"]},
}


@pytest.mark.parametrize("path", OBJECTIVES)
def test_every_part_of_an_objective_and_a_model_counts(path):
    then, now = evaluator().identity(), evaluator(**OBJECTIVES[path]).identity()
    assert path in [found for found, _, _ in identity.differences(then, now)]
    if path == "objective.loss.function":
        then = now
        now = evaluator(class_weights=[1.0, 4.0]).identity()
        ((_, a, b),) = identity.differences(then, now)
        assert (a, b) == (3.0, 4.0)


FACTOR = 2.0


def counted(power):
    """A loss with a counter, which is its state and not what it is."""
    calls = 0

    def loss(xp, prediction, target, weight=1.0):
        nonlocal calls
        calls += 1
        return weight * FACTOR * xp.sum(xp.abs(prediction - target) ** power, axis=-1)

    return loss


def test_a_function_is_its_code_and_all_that_it_reads(monkeypatch):
    def same(a, b):
        return identity.describe(a) == identity.describe(b)

    loss = counted(2)
    assert same(loss, counted(2))
    assert not same(loss, counted(3))
    assert not same(loss, functools.partial(counted(2), weight=2.0))
    assert not same(functools.partial(loss, weight=3.0), functools.partial(loss, weight=2.0))
    before = identity.describe(loss)
    loss(backends.get("torch"), *(backends.get("torch").zeros((2, 2)),) * 2)
    assert identity.describe(loss) == before
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert identity.describe(loss) != before
    assert not same(lambda step: 0.1, lambda step: 0.2)
    assert not same(lambda step: step + 0.1, lambda step: step - 0.1)
    assert same(lambda step: 0.1, lambda step: 0.1)


class Halving:
    """A schedule with a number of its own."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate / 2**step


def biased(factor):
    class Biased(neko.rules.BPTT):
        def differentiate(self, params, feedback, batch, carry):
            found = super().differentiate(params, feedback, batch, carry)
            return found._replace(gradients={name: factor * g for name, g in found.gradients.items()})

    return Biased


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("learning_rate.rate", lambda n: {"learning_rate": Halving(0.1 * n)}),
        ("learning_rate.then.final", lambda n: {"learning_rate": Warmup(3, Cosine(0.1, 10, 0.01 * n))}),
        ("optimizer.rule.device.dg_min_std", lambda n: {"optimizer": Manhattan(device=SoftBounds(dg_min_std=0.1 * n))}),
        (
            "optimizer.rule.device.device.imperfections.0.at_min",
            lambda n: {"optimizer": TikiTaka(device=SingleDevice(SoftBounds(imperfections=[Stuck(at_min=0.1 * n)])))},
        ),
        (
            "optimizer.rule.device.refresh",
            lambda n: {"optimizer": TikiTaka(device=OneSidedPair(ConstantStep(), refresh=0.3 * n))},
        ),
        ("optimizer.rule.fast.dg_min", lambda n: {"optimizer": TikiTaka(fast=SoftBounds(dg_min=1e-5 * n))}),
        ("optimizer.rule.dead_zone", lambda n: {"optimizer": Manhattan(dead_zone=0.1 * n)}),
        ("learning_rate", lambda n: {"optimizer": Manhattan(delta=0.1 * n)}),
    ],
)
def test_an_update_is_all_its_numbers(path, made):
    then, again, now = (neko.BPTT(evaluator(), **made(n)).identity() for n in (1, 1, 2))
    assert then == again
    assert [found for found, _, _ in identity.differences(then, now)] in (
        [path],
        [path, "optimizer.rule.delta"],
        ["optimizer.rule.delta", path],
    )


def test_another_class_of_ones_own_is_another_rule():
    then, again, now = (neko.LearningRule(biased(f)(evaluator())).identity() for f in (0.3, 0.3, 0.4))
    assert then == again
    assert [path for path, _, _ in identity.differences(then, now)] == ["class"]


def objects(backend):
    """An optimizer of the framework by its rate, in a way that hides it."""
    if backend == "torch":
        import torch

        return lambda rate: functools.partial(
            torch.optim.SGD, lr=rate
        ), lambda rate: lambda p: torch.optim.Adam(p, lr=rate)
    if backend == "jax":
        import optax

        return lambda rate: optax.sgd(rate), lambda rate: optax.chain(optax.clip(1.0), optax.adam(rate))
    import keras

    return lambda rate: keras.optimizers.SGD(rate), lambda rate: keras.optimizers.Adam(1e-3, epsilon=rate)


@pytest.mark.parametrize("backend", backends.installed())
def test_optimizers_of_the_framework(backend):
    xp = backends.get(backend)
    named = [identity.describe(xp.optimizer(name)) for name in ("adam", "adagrad", "sgd", "momentum")]
    assert len({json.dumps(d, sort_keys=True) for d in named}) == 4
    for make in objects(backend):
        then, again, now = (identity.describe(xp.optimizer(make(rate))) for rate in (0.1, 0.1, 0.2))
        assert then == again
        assert len(list(identity.differences(then, now))) >= 1


PROGRAM = """
import json, sys
sys.path[:0] = {path!r}
import test_identity
print(json.dumps(test_identity.several(), sort_keys=True))
"""


def several():
    """Descriptions of many kinds of things."""
    frozen, held = {"a", "b", "c", "d"}, Manhattan(device=ConstantStep())
    things = {
        "rule": neko.Eprop(evaluator(tau_m=[5.0, 6.0, 7.0, 8.0]), optimizer=held).identity(),
        "sampler": neko.HMC(evaluator(), prior={"readout.*": Laplace(2.0), "*": Normal(0.5)}, x_pred=X).identity(),
        "class": biased(0.3),
        "loss": counted(2),
        "set": frozen,
        "constant": lambda step: step in {"x", "y", "z"},
        "array": np.arange(100.0),
        "path": Path("a"),
        "generator": np.random.default_rng(0),
        "object": object(),
    }
    return identity.describe(things)


def test_it_is_the_same_in_another_process():
    program = PROGRAM.format(path=[str(Path(__file__).parent)])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == several()
    assert " at 0x" not in done.stdout


def test_cycles_end():
    a = {"b": []}
    a["b"].append(a)
    assert identity.describe(a) == {"b": ["<dict>"]}


def test_arrays_by_their_bytes(monkeypatch):
    a = np.arange(60.0).reshape(12, 5)
    monkeypatch.setattr(fingerprint, "PORTION", 120)
    by_portions = fingerprint.of_array(a)
    monkeypatch.undo()
    assert fingerprint.of_array(a) == by_portions == fingerprint.of_array(np.asfortranarray(a))
    for other in (a + 1e-12, a.reshape(5, 12), a.astype(np.float32), a[::-1]):
        assert fingerprint.of_array(other) != by_portions
    assert fingerprint.of_array(np.array([1.0, 2.0])) == [1.0, 2.0]


def test_a_data_set_is_its_examples_in_any_order_and_batches():
    rng = np.random.default_rng(0)
    x, y, mask = (
        rng.random((7, 4, 2)),
        rng.random((7, 4, 1)),
        (np.arange(4) < [[4], [2], [3], [1], [4], [2], [3]]) * 1.0,
    )
    whole = fingerprint.of_examples([(x, y, mask)])
    order = rng.permutation(7)
    parts = [(x[c], y[c], mask[c]) for c in (order[:3], order[3:6], order[6:])]
    assert fingerprint.of_examples(parts) == whole
    assert whole.examples == 7
    padded = [
        np.concatenate([a, np.full_like(a[:, :2], fill)], axis=1) for a, fill in ((x, 9.0), (y, 9.0), (mask, 0.0))
    ]
    assert fingerprint.of_examples([tuple(padded)]) == whole
    swapped = x.copy()
    swapped[[0, 4]] = x[[4, 0]]
    others = [
        (swapped, y, mask),
        (x, y + 1e-9, mask),
        (x[:6], y[:6], mask[:6]),
        (x, y, np.ones_like(mask)),
        (np.concatenate([x, x[:1]]), np.concatenate([y, y[:1]]), np.concatenate([mask, mask[:1]])),
    ]
    assert len({fingerprint.of_examples([other]) for other in others} | {whole}) == 6
    assert fingerprint.of_examples([(x, y, None)]) == fingerprint.of_examples([(x, y, np.ones_like(mask))])
    holes = mask.copy()
    holes[0, 1] = 0.0
    assert fingerprint.of_examples([(x, y, holes)]) != whole


def test_modules_by_their_parts():
    torch = pytest.importorskip("torch")

    def made(slope):
        return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LeakyReLU(slope))

    module = made(0.1)
    then = identity.describe_module(module)
    module.eval()
    assert identity.describe_module(made(0.1)) == then == identity.describe_module(module)
    ((path, a, b),) = identity.differences(then, identity.describe_module(made(0.2)))
    assert (path, a, b) == ("1.negative_slope", 0.1, 0.2)


def test_keras_models_by_their_configuration_without_names():
    keras = pytest.importorskip("keras")

    def made(rate, functional, build=False):
        layers = [keras.layers.Dense(3, activation="relu"), keras.layers.Dropout(rate), keras.layers.Dense(2)]
        if not functional:
            model = keras.Sequential(layers)
            _ = build and model.build((None, 4))
            return model
        end = begin = keras.Input((4,))
        for layer in layers:
            end = layer(end)
        return keras.Model(begin, end)

    for functional in (False, True):
        then = identity.describe_module(made(0.1, functional))
        assert identity.describe_module(made(0.1, functional, build=True)) == then
        ((path, a, b),) = identity.differences(then, identity.describe_module(made(0.2, functional)))
        assert (path.split(".")[-1], a, b) == ("rate", 0.1, 0.2)


def test_weights_stay_in_the_network_that_they_are_of(tmp_path):
    path = checkpoint.save_weights(evaluator().model.build(3), tmp_path / "w.safetensors")
    for option, then, now in (
        ("tau_m", 5.0, 50.0),
        ("v_th", 1.0, 0.5),
        ("t_ref", 0.0, 3.0),
        ("reset", "subtract", "zero"),
    ):
        other = neko.LIF(4, 2, "torch", **{option: now}, seed=5).build(3)
        before = dict(other.params)
        with pytest.raises(CheckpointError, match=rf"model.cells.0.{option}={then!r}: this model has {now!r}"):
            checkpoint.load_weights(other, path)
        assert all(other.params[name] is w for name, w in before.items())
        checkpoint.load_weights(other, path, changed=(option,))
        assert any(other.params[name] is not w for name, w in before.items())
    with pytest.raises(CheckpointError, match=r"model.readout.tau_out=20.0: this model has 5.0"):
        checkpoint.load_weights(evaluator(tau_out=5.0), path)
    with pytest.raises(CheckpointError, match=r"dt=1.0: this model has 2.0"):
        checkpoint.load_weights(evaluator(dt=2.0), path, changed=["tau_m"])
    with pytest.raises(ValueError, match="changed='tau': expected names"):
        checkpoint.load_weights(evaluator(), path, changed=["tau"])
    with pytest.raises(TypeError, match="changed='tau_m': expected a list"):
        checkpoint.load_weights(evaluator(), path, changed="tau_m")
    state = checkpoint.read(path)
    del state["model"]  # as it was before files said it
    checkpoint.load_weights(evaluator(tau_m=50.0), checkpoint.write(tmp_path / "old.safetensors", state))


def run(folder, epochs, *, kind=neko.BPTT, x=X, y=Y, made=evaluator, changed=(), train=None, **options):
    keep = neko.Checkpoints(folder, resume=True, changed=changed)
    rule = kind(made(), **options)
    trainer = neko.Trainer(rule)
    arrays = {"x": x, "y": y, "batch_size": 3} | (train or {})
    trainer.train(**arrays, epochs=epochs, callbacks=[keep], progress=False)
    return trainer


SUM = functools.partial(evaluator, reduction="sum")
RESUMED = {
    "rate": ({"learning_rate": 0.1}, "learning_rate=0.001: this run has 0.1"),
    "clip": ({"clip_norm": 0.5}, "clip_norm=None: this run has 0.5"),
    "truncation": ({"truncation": 2}, "truncation=None: this run has 2"),
    "optimizer": ({"optimizer": "sgd"}, "optimizer"),
    "v_th": ({"made": functools.partial(evaluator, v_th=0.5)}, "model.cells.0.v_th=1.0: this run has 0.5"),
    "tau_out": ({"made": functools.partial(evaluator, tau_out=5.0)}, "model.readout.tau_out=20.0: this run has 5.0"),
    "target": ({"made": functools.partial(evaluator, target="last")}, "objective.target='every': this run has 'last'"),
    "reduction": ({"made": SUM}, "objective.reduction='mean': this run has 'sum'"),
    "weights": ({"made": functools.partial(evaluator, class_weights=[1.0, 2.0])}, "objective.loss.function"),
    "x": ({"x": X[::-1]}, r"data.x='array \(6, 5, 3\).*': this run has 'array \(6, 5, 3\)"),
    "y": ({"y": Y[::-1]}, "data.y="),
    "seed": ({"train": {"seed": 1}}, "data.seed=0: this run has 1"),
    "mask": ({"train": {"mask": np.tril(np.ones((6, 5)))}}, "data.mask=None: this run has"),
    "validation": ({"train": {"validation": (X[:2], Y[:2])}}, "validation="),
    "hmc prior": ({"kind": neko.HMC, "prior": 0.1}, "prior.scale=1.0: this run has 0.1"),
    "hmc mass": ({"kind": neko.HMC, "mass": {"readout.b_out": 2.0}}, "mass='diagonal': this run has"),
    "langevin scale": ({"kind": neko.Langevin, "scale": {"readout.b_out": 2.0}}, "scale=None: this run has"),
    "sgld x": ({"kind": neko.SGLD, "x": X[::-1]}, "data.x="),
    "hmc drift": ({"kind": neko.HMC, "drift": neko.Eprop}, "drift.rule='bptt': this run has 'eprop:symmetric'"),
    "hmc thinning": ({"kind": neko.HMC, "thinning": 2}, "thinning=1: this run has 2"),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_run_does_not_go_on_as_another(name, tmp_path):
    options, words = RESUMED[name]
    kind = options.get("kind", neko.BPTT)
    run(tmp_path, 1, kind=kind)
    files = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match=words):
        run(tmp_path, 2, **options)
    assert sorted(tmp_path.iterdir()) == files
    run(tmp_path, 2, kind=kind)


def test_what_is_changed_on_purpose_takes_effect(tmp_path):
    """The learning rate 0 leaves the parameters; another optimizer begins with a fresh state; other data may come."""
    then = run(tmp_path, 1).rule.model.params
    now = run(tmp_path, 2, learning_rate=0.0, changed=["learning_rate"]).rule.model.params
    assert all(np.array_equal(then[name], now[name]) for name in then)
    with pytest.raises(CheckpointError, match=r"learning_rate=0.0: this run has 0.001"):
        run(tmp_path, 3)
    sgd = {"learning_rate": 0.0, "optimizer": "sgd"}
    run(tmp_path, 3, **sgd, changed=["optimizer"])
    steps = checkpoint.read(checkpoint.listed(tmp_path)[-1])["learner"]["steps"]
    assert steps == 3 * 2
    trainer = run(tmp_path, 4, **sgd, x=X[::-1], y=Y[::-1], train={"batch_size": 2}, changed=["data"])
    assert trainer.history.epochs == 4
    with pytest.raises(ValueError, match="changed='rate': expected names such as"):
        run(tmp_path, 5, changed=["rate"])
    with pytest.raises(ValueError, match="only a run that goes on can change"):
        neko.Checkpoints(tmp_path, changed=["data"])


def test_a_name_that_stays_in_the_script_changes_nothing_more(tmp_path):
    """Once the change is in a checkpoint, going on from it is bit for bit again."""
    last = {}
    for name, stops in (("whole", [1, 4]), ("stopped", [1, 2, 3, 4])):
        for epochs in stops:
            changed = ["optimizer", "data"] if epochs > 1 else []
            options = {"optimizer": "adamax", "x": X[::-1]} if epochs > 1 else {}
            last[name] = run(tmp_path / name, epochs, changed=changed, **options).rule
    for name, w in last["whole"].model.params.items():
        assert np.array_equal(w, last["stopped"].model.params[name]), name


def test_a_rate_inside_an_optimizer_of_the_framework_takes_effect(tmp_path):
    torch = pytest.importorskip("torch")
    then = run(tmp_path, 1, optimizer=functools.partial(torch.optim.SGD, lr=0.1)).rule.model.params
    now = run(tmp_path, 2, optimizer=functools.partial(torch.optim.SGD, lr=0.0), changed=["lr"]).rule.model.params
    assert all(np.array_equal(then[name], now[name]) for name in then)


def test_a_chain_takes_no_change(tmp_path):
    run(tmp_path, 1, kind=neko.HMC)
    with pytest.raises(CheckpointError, match="a chain has one density"):
        run(tmp_path, 2, kind=neko.HMC, prior=0.1, changed=["prior"])


def loader(order, batch=3):
    return [(X[c], Y[c]) for c in np.split(np.asarray(order), 6 // batch)]


def test_another_loader_is_seen_by_its_first_batch(tmp_path):
    given = {"y": None, "train": {"batch_size": None}}
    run(tmp_path, 1, x=loader(range(6)), **given)
    with pytest.raises(CheckpointError, match=r"data.first=.* was the first batch"):
        run(tmp_path, 2, x=loader([5, 4, 3, 2, 1, 0]), **given)
    with pytest.raises(CheckpointError, match=r"data.length=2: this run has 3"):
        run(tmp_path, 2, x=loader(range(6), batch=2), **given)
    run(tmp_path, 2, x=loader([5, 4, 3, 2, 1, 0]), **given, changed=["data"])
    with pytest.raises(CheckpointError, match=r"data.kind='batches': this run has 'arrays'"):
        run(tmp_path, 3)
    run(tmp_path, 3, changed=["data"])
    run(tmp_path, 4, x=loader(range(6)), **given, changed=["data"])
    run(tmp_path, 5, x=loader(range(6)), **given)


def test_within_an_epoch_the_data_stay(tmp_path):
    class Stop(neko.callbacks.Callback):
        order = 2

        def batch(self, loop):
            raise ZeroDivisionError

    def trainer(**options):
        return neko.Trainer(neko.BPTT(evaluator())), neko.Checkpoints(tmp_path, batches=1, **options)

    made, keep = trainer()
    with pytest.raises(ZeroDivisionError):
        made.train(X, Y, batch_size=3, callbacks=[keep, Stop()], progress=False)
    made, keep = trainer(resume=True, changed=["data"])
    with pytest.raises(CheckpointError, match="within an epoch"):
        made.train(X[::-1], Y, batch_size=3, callbacks=[keep, Stop()], progress=False)


def test_a_longer_patience_is_a_change(tmp_path):
    def go(patience, epochs, changed=()):
        trainer = neko.Trainer(neko.BPTT(evaluator(), learning_rate=0.0))
        keep = neko.Checkpoints(tmp_path, resume=True, changed=changed)
        stop = neko.EarlyStopping("loss", patience=patience)
        return trainer.train(X, Y, epochs=epochs, shuffle=False, callbacks=[stop, keep], progress=False).epochs

    assert go(1, 9) == 2
    assert go(1, 9) == 2
    with pytest.raises(CheckpointError, match=r"callbacks.EarlyStopping.patience=1: this run has 3"):
        go(3, 9)
    assert go(3, 9, ["patience"]) == 4


def test_a_comparison_is_all_its_rules(tmp_path):
    def go(epochs, other):
        trainer = neko.Trainer(neko.GradientComparison(neko.BPTT(evaluator()), [other]))
        keep = neko.Checkpoints(tmp_path, resume=True)
        trainer.train(X, Y, epochs=epochs, callbacks=[keep], progress=False)

    go(1, functools.partial(neko.Eprop, chunk=2))
    with pytest.raises(CheckpointError, match=r"others.eprop:symmetric.chunk=2: this run has 3"):
        go(2, functools.partial(neko.Eprop, chunk=3))
    go(2, functools.partial(neko.Eprop, chunk=2))


def test_an_own_loss_is_told(tmp_path):
    def made(power):
        return functools.partial(evaluator, loss=Loss("own", counted(power)))

    run(tmp_path, 1, made=made(2))
    with pytest.raises(CheckpointError, match=r"objective.loss.function.closure.power=2: this run has 3"):
        run(tmp_path, 2, made=made(3))
    run(tmp_path, 2, made=made(2))
