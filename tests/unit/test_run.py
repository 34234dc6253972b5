"""A run is a folder: what is in it, that it can be repeated, gone on with and shown, and what is refused."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import neko
from neko import backend as backends
from neko import runs
from neko.cli import app
from neko.errors import CheckpointError
from neko.io import checkpoint
from neko.training.history import History

import few_digits

if not backends.installed():
    pytest.skip("no framework is installed", allow_module_level=True)
SMALL = runs.TrainConfig(hidden=8, epochs=2, rule="bptt", cell="lif")


def command(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def words(result):
    return " ".join(result.output.split())


SAMPLE = runs.SampleConfig(
    data=few_digits.DATA, hidden=6, pretrain=1, epochs=5, warmup=2, thinning=1, checkpoint_every=2, schedule="constant"
)
COMPARE = runs.CompareConfig(hidden=6, epochs=1, rules="bptt,eprop:random", every=4)


@pytest.mark.parametrize("config", [SMALL, SAMPLE, COMPARE], ids=lambda c: c.command)
def test_every_command_is_written_repeated_gone_on_with_and_shown(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = runs.run(config, "a", progress=False)
    written = yaml.safe_load(Path("a/config.yaml").read_text())
    assert written["command"] == config.command
    assert runs.read_config("a/config.yaml") == config
    result = command(config.command, "--config", "a/config.yaml", "--out", "b")
    assert result.exit_code == 0, result.output
    assert Path("a/history.csv").read_bytes() == Path("b/history.csv").read_bytes()
    longer = config.epochs + 1
    assert command(config.command, "--resume", "b", "--epochs", longer).exit_code == 0
    runs.run(dataclasses.replace(config, epochs=longer), "whole", progress=False)
    assert Path("b/history.csv").read_bytes() == Path("whole/history.csv").read_bytes()
    read = runs.load("a")
    assert read.history == trainer.history
    for name, w in trainer.rule.model.params.items():
        assert np.array_equal(read.rule.model.params[name], w), name
    figures = {path.name: path.read_bytes() for path in Path("a/figures").iterdir()}
    assert figures
    for name in figures:
        Path("a/figures", name).unlink()
    shown = command("show", "a")
    assert shown.exit_code == 0, shown.output
    assert config.command in words(shown)
    assert {path.name for path in Path("a/figures").iterdir()} == figures.keys()


def test_a_cosine_is_of_all_updates_of_a_run(tmp_path):
    """So that a longer run is another one."""
    config = dataclasses.replace(SAMPLE, schedule="cosine", learning_rate=0.02, epochs=2, batch_size=50)
    rule = runs.run(config, tmp_path, progress=False).rule
    assert rule.schedule.learning_rate == neko.updates.Cosine(0.02, rule.rules[0].steps)
    longer = command("sample", "--resume", tmp_path, "--epochs", 3)
    assert "it was written with learning_rate.steps=4: this run has 6" in words(longer)
    with pytest.raises(ValueError, match="schedule='cosine' without learning_rate"):
        runs.run(dataclasses.replace(config, method="swag", learning_rate=None), tmp_path / "b", progress=False)
    with pytest.raises(ValueError, match=r"schedule='linear': expected one of \('constant', 'cosine'\)"):
        dataclasses.replace(config, schedule="linear")


def test_a_sampler_that_is_read_back_has_its_draws(tmp_path):
    drawn = runs.run(SAMPLE, tmp_path, progress=False).rule.posterior
    found = runs.load(tmp_path).rule.posterior
    assert found.draws.keys() == drawn.draws.keys()
    for name, draws in drawn.draws.items():
        assert np.array_equal(found.draws[name], draws), name
    assert np.array_equal(found.predictions, drawn.predictions)


def test_a_configuration_of_another_command_is_refused(tmp_path):
    runs.write_config(COMPARE, tmp_path)
    assert "is of neko compare: expected one of neko train" in words(
        command("train", "--config", tmp_path / runs.CONFIG)
    )
    (tmp_path / runs.CONFIG).write_text("command: dream\noptions: {}\n")
    assert "command='dream': expected one of ('train', 'sample', 'compare')" in words(command("show", tmp_path))


def test_what_is_changed_on_purpose_is_named(tmp_path):
    runs.run(SMALL, tmp_path, progress=False)
    faster = ["train", "--resume", tmp_path, "--epochs", 3, "--learning-rate", 0.01]
    assert "only --epochs may change, or what --changed names" in words(command(*faster))
    assert "learning_rate" in words(command(*faster, "--changed", "clip_norm"))
    assert runs.read_config(tmp_path / runs.CONFIG) == SMALL
    result = command(*faster, "--changed", "learning_rate")
    assert result.exit_code == 0, result.output
    assert runs.read_config(tmp_path / runs.CONFIG) == dataclasses.replace(SMALL, epochs=3, learning_rate=0.01)
    assert "expected" not in words(command("show", tmp_path))
    result = command("train", "--changed", "learning_rate", "--out", tmp_path / "b")
    assert "only a run that goes on can change" in words(result)


MINE = """
from dataclasses import dataclass
import numpy as np
import neko
from neko.cells import LIF
from neko.datasets import Dataset
from neko.devices import SoftBounds
from neko.encoders import Encoder

@dataclass(frozen=True, eq=False, repr=False)
class MyCell(LIF):
    "LIF by another name."

class MyRule(neko.BPTT):
    "BPTT by another name."

@dataclass(frozen=True)
class MyDevice(SoftBounds):
    "Soft bounds by another name."

class MyUpdate:
    "Gradient descent by another name."
    def init(self, params):
        return None
    def step(self, params, gradients, state, rate):
        return {name: w - rate * gradients[name] for name, w in params.items()}, state

slow = MyDevice(dg_min=1e-6)

@dataclass(frozen=True)
class MyEncoder(Encoder):
    "Whether a sample is above a level."
    level: float = 0.5
    def code(self, x):
        return (x > self.level).astype(x.dtype)

def my_loss(xp, outputs, target):
    "Squared error by another name."
    return xp.sum(xp.square(outputs - target), axis=-1)

def my_metric(xp, context):
    "Mean largest output."
    return xp.sum(xp.max(context.outputs, axis=-1) * context.weight), xp.sum(context.weight)

def load_mine():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 5, 3)).astype(np.float32)
    return Dataset(x[:16], np.arange(16) % 2, x[16:], np.arange(8) % 2, 2)
"""


@pytest.mark.parametrize(
    "option",
    [
        ("--data", "load_mine"),
        ("--cell", "MyCell"),
        ("--rule", "MyRule"),
        ("--device", "MyDevice"),
        pytest.param(("--device", "slow"), marks=pytest.mark.slow),
        pytest.param(("--device", "MyDevice(dg_min=1e-6)"), marks=pytest.mark.slow),
        ("--optimizer", "MyUpdate"),
        ("--encoder", "MyEncoder"),
        ("--encoder", "MyEncoder(level=0.2)"),
        ("--loss", "my_loss"),
        ("--metrics", "my_metric"),
    ],
)
def test_a_file_of_a_person_brings_a_part(option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    flag, name = option
    manhattan = ["--optimizer", "manhattan"] if flag == "--device" else []
    result = command("train", "--hidden", 6, "--epochs", 1, *manhattan, flag, f"mine.py:{name}")
    assert result.exit_code == 0, result.output
    (folder,) = Path("runs").iterdir()
    assert getattr(runs.read_config(folder / runs.CONFIG), flag[2:]) == f"mine.py:{name}"
    assert runs.load(folder).history.epochs == 1


def test_loss_and_metrics_of_a_run_are_those_that_are_named(tmp_path, monkeypatch):
    """By comma, each in the history and in the table; without them those of the data set."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    small = ["train", "--hidden", 6, "--epochs", 1, "--loss", "mine.py:my_loss"]
    result = command(*small, "--metrics", "mine.py:my_metric, top_5_accuracy", "--out", "named")
    assert result.exit_code == 0, result.output
    history = History.load(Path("named") / runs.HISTORY)
    measures = ("loss", "my_metric", "top_5_accuracy")
    assert set(history) == {*measures, *(f"val_{name}" for name in measures)}
    assert all(word in result.output for word in ("my_metric", "top_5_accuracy"))
    assert runs.load("named").rule.model.objective.loss.name == "my_loss"
    assert command(*small, "--metrics", "", "--out", "none").exit_code == 0
    assert set(History.load(Path("none") / runs.HISTORY)) == {"loss", "val_loss"}
    model, digits = runs.load("none").rule.model, neko.datasets.load("digits").one_hot()
    x, y = digits.x_test, digits.y_test
    squared = np.sum((model.predict(x, every_step=True) - y[:, None]) ** 2, axis=-1).mean()
    assert model.evaluate(x, y)["loss"] == pytest.approx(squared, rel=1e-5)


def test_a_run_leaves_its_folder(tmp_path):
    trainer = runs.run(SMALL, tmp_path / "run", progress=False)
    written = yaml.safe_load((tmp_path / "run" / runs.CONFIG).read_text())
    assert written["options"] == dataclasses.asdict(SMALL)
    assert {"neko", "python", "numpy", SMALL.backend} <= written["versions"].keys()
    history = History.load(tmp_path / "run" / runs.HISTORY)
    assert history == trainer.history
    assert history.epochs == 2
    kept = checkpoint.read(checkpoint.listed(tmp_path / "run" / runs.CHECKPOINTS)[-1])
    for name, w in trainer.rule.model.params.items():
        assert np.array_equal(kept["learner"]["params"][name], trainer.rule.xp.to_numpy(w)), name
    assert (tmp_path / "run" / runs.FIGURES / "learning_curves.png").stat().st_size > 1000


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
def test_equal_configurations_give_equal_histories(backend, tmp_path):
    config = dataclasses.replace(SMALL, backend=backend, rule="eprop:adaptive")
    trained = runs.run(config, tmp_path / "a", progress=False)
    repeated = runs.read_config(tmp_path / "a" / runs.CONFIG)
    assert repeated == config
    read = runs.load(tmp_path / "a")
    x = neko.datasets.load("digits").x_test[:50]
    assert np.array_equal(read.rule.model.predict(x), trained.rule.model.predict(x))
    runs.run(repeated, tmp_path / "b", progress=False)
    first, second = ((tmp_path / name / runs.HISTORY).read_bytes() for name in "ab")
    assert first == second
    runs.run(dataclasses.replace(config, seed=1), tmp_path / "c", progress=False)
    assert (tmp_path / "c" / runs.HISTORY).read_bytes() != first


def test_going_on_equals_one_run(tmp_path):
    runs.run(dataclasses.replace(SMALL, epochs=3), tmp_path / "whole", progress=False)
    runs.run(SMALL, tmp_path / "part", progress=False)
    result = command("train", "--resume", tmp_path / "part", "--epochs", 3)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "part" / runs.HISTORY).read_bytes() == (tmp_path / "whole" / runs.HISTORY).read_bytes()
    assert runs.read_config(tmp_path / "part" / runs.CONFIG).epochs == 3


@pytest.mark.slow
def test_the_command_repeats_goes_on_and_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--hidden", 8, "--epochs", 1, "--optimizer", "manhattan", "--device", "soft_bounds"]
    assert command("train", *options, "--out", "a").exit_code == 0
    assert command("train", "--config", "a/config.yaml", "--out", "b").exit_code == 0
    assert Path("a/history.csv").read_bytes() == Path("b/history.csv").read_bytes()
    assert command("train", "--config", "a/config.yaml", "--seed", 5).exit_code == 0
    (new,) = Path("runs").iterdir()
    assert runs.read_config(new / "config.yaml") == dataclasses.replace(runs.read_config("a/config.yaml"), seed=5)
    for figure in ("learning_curves", "conductances"):
        Path(f"a/figures/{figure}.png").unlink()
    shown = command("show", "a")
    assert shown.exit_code == 0, shown.output
    for word in ("soft_bounds", "val_accuracy", "pulses", "After 1 of 1 epochs"):
        assert word in words(shown)
    for figure in ("learning_curves", "conductances"):
        assert Path(f"a/figures/{figure}.png").stat().st_size > 1000


@pytest.mark.parametrize("data", ["pattern", "copy", "evidence"])
def test_masks_and_regressions_are_trained(data):
    """What the loader says of frames and outputs reaches the trainer."""
    small = {"pattern": {"time": 60}, "copy": {"train": 12, "test": 4}, "evidence": {"train": 6, "test": 2}}
    loaded = neko.datasets.load(data, **{k: v for k, v in small[data].items() if k != "time"}).one_hot()
    loaded = loaded._replace(x_train=5.0 * loaded.x_train)  # few neurons need much to spike
    run = runs.of(dataclasses.replace(SMALL, hidden=4, data=data), "nowhere")
    run.data = loaded
    trainer = neko.Trainer(run.learner())
    history = trainer.train(loaded.x_train, loaded.y_train, loaded.mask_train, progress=False)
    found = trainer.rule.model.evaluate(loaded.x_train, loaded.y_train, loaded.mask_train)
    y = trainer.rule.model.model.predict(loaded.x_train)
    mask = np.ones(y.shape[:2]) if loaded.mask_train is None else loaded.mask_train
    if loaded.task_type == "regression":
        expected = (((y - loaded.y_train) ** 2).mean(axis=-1) * mask).sum() / mask.sum()
        assert found["loss"] == pytest.approx(expected, rel=1e-4)
        assert "accuracy" not in history
    else:
        target = loaded.y_train if loaded.y_train.ndim == 3 else loaded.y_train[:, None]
        cross = -(target * np.log(y)).sum(axis=-1)
        assert found["loss"] == pytest.approx((cross * mask).sum() / mask.sum(), rel=1e-4)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("options: {hiden: 3}", "option 'hiden': expected one of"),
        ("options: {hidden: three}", "hidden='three': expected int"),
        ("options: {hidden: 3.5}", "hidden=3.5: expected int"),
        ("options: {data: null}", "data=None: expected a name"),
        ("options: {seed: true}", "seed=True: expected int"),
        ("options: [1, 2]", "options: [1, 2]: expected names with values"),
        ("hidden: 3", "expected a section 'options'"),
        ("options: {", "is no YAML"),
        ("- 1", "expected a section 'options'"),
        ("options: {data: minst}", "data set 'minst'"),
        ("options: {epochs: 0}", "epochs=0"),
        ("options: {batch_size: 0}", "batch_size=0"),
        ("options: {target: first}", "target='first'"),
        ("options: {dtype: float16}", "dtype='float16'"),
        ("options: {checkpoint_every: 0}", "checkpoint_every=0"),
        ("options: {patience: 0}", "patience=0"),
        ("options: {learning_rate: -1}", "learning_rate=-1.0"),
        ("options: {clip_norm: 0}", "clip_norm=0.0"),
    ],
)
def test_a_wrong_configuration_is_named(content, expected, tmp_path):
    (tmp_path / "config.yaml").write_text(content)
    result = command("train", "--config", tmp_path / "config.yaml", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert expected in words(result)
    assert not (tmp_path / "out").exists()


def test_numbers_without_a_point_are_read(tmp_path):
    (tmp_path / "config.yaml").write_text("options: {learning_rate: 1e-3, clip_norm: 2}")
    config = runs.read_config(tmp_path / "config.yaml")
    assert (config.learning_rate, config.clip_norm) == (1e-3, 2.0)


def test_a_wrong_folder_is_named(tmp_path):
    runs.run(SMALL, tmp_path / "run", progress=False)
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    for arguments, expected in (
        (["train", "--out", tmp_path / "run"], "holds a run"),
        (["train", "--resume", tmp_path / "run", "--hidden", 9], "only --epochs may change"),
        (["train", "--resume", tmp_path / "run", "--out", tmp_path / "b"], "expected no --out"),
        (["train", "--resume", tmp_path / "run", "--epochs", 1], "asks for 1"),
        (["train", "--resume", tmp_path / "none"], "expected the config.yaml of a run"),
        (["show", tmp_path / "none"], "expected the config.yaml of a run"),
        (["train", "--hidden", 4, "--out", tmp_path / "run" / "config.yaml"], "is a file: expected a folder"),
    ):
        result = command(*arguments)
        assert result.exit_code == 2, result.output
        assert expected in words(result), result.output
    after = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert before == after


def test_a_damaged_history_or_checkpoint_is_named(tmp_path):
    runs.run(SMALL, tmp_path, progress=False)
    file = checkpoint.listed(tmp_path / runs.CHECKPOINTS)[-1]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "truncated" in words(command("train", "--resume", tmp_path, "--epochs", 3))
    file.write_bytes(whole)
    (tmp_path / runs.HISTORY).write_text("epoch,loss\n1,a\n")
    shown = command("show", tmp_path)
    assert shown.exit_code == 2
    assert "is no history" in words(shown)


@pytest.mark.filterwarnings("default")
def test_other_versions_are_told(tmp_path):
    runs.run(SMALL, tmp_path, progress=False)
    text = (tmp_path / runs.CONFIG).read_text()
    (tmp_path / runs.CONFIG).write_text(text.replace(f"neko: {neko.__version__}", "neko: 0.0.1"))
    result = command("train", "--resume", tmp_path, "--epochs", 3)
    assert result.exit_code == 0
    assert "neko 0.0.1 then" in words(result)


def test_a_diverging_run_says_so_and_keeps_its_checkpoints(tmp_path):
    result = command(
        "train", "--hidden", 8, "--rule", "bptt", "--optimizer", "sgd", "--learning-rate", 1e38, "--out", tmp_path
    )
    assert result.exit_code == 2
    assert "is not finite" in words(result)
    assert "learning_rate" in words(result)


def test_patience_stops_early(tmp_path):
    config = dataclasses.replace(SMALL, learning_rate=0.0, patience=2, epochs=9, optimizer="sgd")
    assert runs.run(config, tmp_path, progress=False).history.epochs == 3


@pytest.mark.slow
def test_a_run_stopped_by_ctrl_c_says_how_to_go_on(tmp_path):
    """As a person does it: the command in a process of its own, and a signal."""
    program = [
        sys.executable,
        "-m",
        "neko",
        "train",
        "--hidden",
        "8",
        "--epochs",
        "2000",
        "--out",
        str(tmp_path / "run"),
    ]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if checkpoint.listed(tmp_path / "run" / runs.CHECKPOINTS):
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "--resume" in out
    assert "Traceback" not in err
    last = checkpoint.listed(tmp_path / "run" / runs.CHECKPOINTS)[-1]
    assert checkpoint.read(last)["position"]["epoch"] >= 1
    config = runs.read_config(tmp_path / "run" / runs.CONFIG)
    done = checkpoint.read(last)["position"]["epoch"]
    runs.run(dataclasses.replace(config, epochs=done + 1), tmp_path / "run", resume=True, progress=False)
    runs.run(dataclasses.replace(config, epochs=done + 1), tmp_path / "whole", progress=False)
    assert (tmp_path / "run" / runs.HISTORY).read_bytes() == (tmp_path / "whole" / runs.HISTORY).read_bytes()


def test_a_run_is_read_back_as_it_was_left(tmp_path):
    """Model, history, optimizer and feedback: one more batch changes both alike, bit for bit."""
    options = {"rule": "eprop:adaptive", "cell": "alif", "target": "mean", "firing_rate": 30.0, "clip_norm": 1.0}
    config = dataclasses.replace(SMALL, dtype="float64", processor="cpu", **options)
    trained = runs.run(config, tmp_path, progress=False)
    assert yaml.safe_load((tmp_path / runs.CONFIG).read_text())["options"]["processor"] == "cpu"
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    read = runs.load(str(tmp_path))
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before, "reading writes nothing"
    assert read.history == trained.history
    digits = neko.datasets.load("digits").one_hot()
    found, expected = (each.rule.model.evaluate(digits.x_test, digits.y_test) for each in (read, trained))
    assert found == expected
    assert found["accuracy"] == trained.history["val_accuracy"][-1]
    batch = digits.x_train[:32], digits.y_train[:32]
    assert read.rule.step(*batch) == trained.rule.step(*batch)
    for name, w in trained.rule.model.params.items():
        assert np.array_equal(read.rule.model.params[name], w), name
    assert read.rule.feedback.keys() == trained.rule.feedback.keys() != set()
    for name, b in trained.rule.feedback.items():
        assert np.array_equal(read.rule.feedback[name], b), name


@pytest.mark.slow
def test_conductances_are_read_back(tmp_path):
    config = dataclasses.replace(SMALL, optimizer="manhattan", device="soft_bounds")
    trained = runs.run(config, tmp_path, progress=False)
    found, expected = (t.rule.exported()["update"]["stores"] for t in (runs.load(tmp_path, processor="cpu"), trained))
    assert found.keys() == trained.rule.model.params.keys()
    for name, stored in found.items():
        for k in range(2):
            assert np.array_equal(stored["devices"][k]["g"], expected[name]["devices"][k]["g"]), name


def test_what_is_no_run_is_not_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected the config.yaml of a run"):
        runs.load(tmp_path)
    runs.run(SMALL, tmp_path, progress=False)
    text = (tmp_path / runs.CONFIG).read_text()
    for old, new in (("rule: bptt", "rule: eprop"), ("cell: lif", "cell: alif"), ("hidden: 8", "hidden: 9")):
        (tmp_path / runs.CONFIG).write_text(text.replace(old, new))
        with pytest.raises(neko.errors.CheckpointError, match="was written with"):
            runs.load(tmp_path)
    (tmp_path / runs.CONFIG).write_text(text)
    with pytest.raises(Exception, match="warp"):
        runs.load(tmp_path, processor="warp")
    for file in checkpoint.listed(tmp_path / runs.CHECKPOINTS):
        file.unlink()
    with pytest.raises(FileNotFoundError, match="has no checkpoint: expected a run with an epoch done"):
        runs.load(tmp_path)


def test_numbers_of_numpy_are_numbers(tmp_path):
    config = runs.TrainConfig(
        hidden=np.int64(8), epochs=np.uint8(2), seed=np.int32(3), learning_rate=np.float32(0.5), clip_norm=np.int64(2)
    )
    assert config == runs.TrainConfig(hidden=8, epochs=2, seed=3, learning_rate=0.5, clip_norm=2.0)
    assert {type(value) for value in dataclasses.asdict(config).values()} <= {str, int, float, bool, type(None)}
    runs.write_config(config, tmp_path)
    assert runs.read_config(tmp_path / runs.CONFIG) == config
    for wrong in ({"hidden": np.float64(8.0)}, {"hidden": np.bool_(True)}, {"learning_rate": np.bool_(True)}):
        with pytest.raises(ValueError, match="expected"):
            runs.TrainConfig(**wrong)


def test_all_unknown_options_are_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"options 'hiden', 'epoch': .*did you mean 'hidden' and 'epochs'\?"):
        runs.TrainConfig.of({"hiden": 3, "epoch": 2, "seed": 1})
    with pytest.raises(ValueError, match=r"option 'zzz': expected one of .*'patience'\]$"):
        runs.TrainConfig.of({"zzz": 3})


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "CUDA", "gpu", "mps", "tpu", "/GPU:0", "xpu:1"])
@pytest.mark.parametrize("optimizer", ["adam", "manhattan"])
def test_a_processor_is_no_analog_device(name, optimizer, tmp_path):
    result = command("train", "--device", name, "--optimizer", optimizer, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert f"device={name!r}: expected an analog device" in words(result)
    assert "'soft_bounds'" in words(result)
    assert f"--processor {name}" in words(result)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("backend", backends.installed())
def test_a_processor_that_is_not_here_is_named(backend):
    """None computes elsewhere without a word, as TensorFlow by itself would."""
    for name in ("tpu", "gpu:17", "cuda:17", "warp"):
        with pytest.raises(ValueError, match=f"(?=.*{backend})(?=.*{name!r})(?=.*[cC][pP][uU])"):
            backends.get(backend, device=name)
    there = backends.get(backend, device="cpu")
    assert there.to_numpy(there.zeros((2,))).tolist() == [0.0, 0.0]


def test_a_run_whose_options_were_edited_does_not_go_on(tmp_path):
    """Edits of config.yaml, and data that are others by now, are told with both values."""
    folder = tmp_path / "run"
    runs.run(SMALL, folder, progress=False)
    for option, expected in (
        ({"learning_rate": 0.1}, r"learning_rate=0\.001: this run has 0\.1"),
        ({"target": "last"}, r"objective\.target='every': this run has 'last'"),
        ({"clip_norm": 1.0}, r"clip_norm=None: this run has 1\.0"),
        ({"optimizer": "manhattan", "device": "constant"}, r"optimizer="),
        ({"patience": 3}, "callbacks"),
        ({"cell": "alif"}, r"model\.cells\.0="),
    ):
        runs.write_config(dataclasses.replace(SMALL, **option), folder)
        with pytest.raises(CheckpointError, match=expected):
            runs.run(runs.read_config(folder / runs.CONFIG), folder, resume=True, progress=False)
        result = command("train", "--resume", folder, "--epochs", 3)
        assert result.exit_code == 2
        assert re.search(expected, words(result))
