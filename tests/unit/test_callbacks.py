"""Stopping early, checkpoints along the way and TensorBoard, on measures that a script gives."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

import neko
from neko.errors import CheckpointError
from neko.io import checkpoint
from neko.training.callbacks import Callback, Checkpoints, EarlyStopping, TensorBoard
from neko.training.history import History
from neko.training.learner import Learner

X, Y = np.ones((4, 3, 2), np.float32), np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]


class Scripted(Learner):
    """Its measures are written down beforehand; its one parameter is the number of the epoch."""

    pausable = True

    def __init__(self, **measures):
        self.model = neko.Evaluator(neko.RNN(2, 2, "torch"), "categorical_crossentropy")
        self.model.build(X)
        self.measures, self.epochs = measures, 0

    def learn(self, portion):
        return {}

    def finish(self, totals):
        found = {name: values[self.epochs] for name, values in self.measures.items()}
        self.epochs += 1
        xp = self.model.xp
        self.model.params = {name: xp.ones_like(w) * self.epochs for name, w in self.model.params.items()}
        return found

    def identity(self):
        return {"rule": "scripted"}

    def exported(self):
        params = {name: w.numpy() for name, w in self.model.params.items()}
        return {"epochs": self.epochs, "params": params}

    def load(self, saved, batches):
        self.epochs = saved["epochs"]


def run(*callbacks, epochs=None, learner=None, **measures):
    trainer = neko.Trainer(learner or Scripted(**measures))
    epochs = epochs or len(next(iter(trainer.rule.measures.values())))
    trainer.train(X, Y, batch_size=2, epochs=epochs, callbacks=callbacks, progress=False)
    return trainer


def number(trainer):
    """The epoch that the parameters are of."""
    values = {float(v) for w in trainer.rule.model.params.values() for v in np.unique(w.numpy())}
    assert len(values) == 1
    return values.pop()


NAN = math.nan


@pytest.mark.parametrize(
    ("measure", "values", "options", "epochs", "best"),
    [
        ("val_loss", [3, 2, 1, 1, 1, 0], {"patience": 2}, 5, 3),
        ("val_loss", [3, 2, 2.5, 1, 4, 4, 4, 0], {"patience": 3}, 7, 4),
        ("val_loss", [3, 2, 1], {"patience": 1}, 3, 3),
        ("val_loss", [3, 4], {"patience": 1}, 2, 1),
        ("val_accuracy", [0.1, 0.5, 0.4, 0.3, 0.9], {"patience": 2}, 4, 2),
        ("val_auroc", [0.1, 0.5, 0.4, 0.3, 0.9], {"patience": 2}, 4, 2),
        ("top_3_accuracy", [0.1, 0.5, 0.4, 0.3, 0.9], {"patience": 2}, 4, 2),
        ("val_accuracy", [0.5, 0.4, 0.6, 0.6], {"patience": 2, "mode": "min"}, 4, 2),
        ("reward", [1, 2, 3, 3, 3, 4], {"patience": 2, "mode": "max"}, 5, 3),
        ("val_loss", [3, 2.95, 2.9, 2.0, 1.95], {"patience": 2, "min_delta": 0.1}, 3, 1),
        ("val_loss", [3, 2.8, 2.6, 2.4], {"patience": 2, "min_delta": 0.1}, 4, 4),
        ("val_loss", [3, 2, NAN, NAN, 1], {"patience": 2}, 4, 2),
        ("val_loss", [NAN, NAN, 1.0], {"patience": 2}, 2, None),
    ],
)
def test_early_stopping_ends_at_the_right_epoch(measure, values, options, epochs, best):
    trainer = run(EarlyStopping(measure, restore_best=True, **options), **{measure: values})
    assert trainer.history.epochs == epochs
    assert number(trainer) == (epochs if best is None else best)
    assert number(run(EarlyStopping(measure, **options), **{measure: values})) == epochs


def test_early_stopping_says_why(capsys):
    trainer = neko.Trainer(Scripted(val_loss=[1.5, 2, 2, 2]))
    trainer.train(X, Y, epochs=4, callbacks=[EarlyStopping(patience=2)])
    said = " ".join(capsys.readouterr().err.split())
    assert "stopped: val_loss has not been better than 1.5 for 2 epochs" in said


def test_early_stopping_begins_anew_with_every_call():
    """What was the best of another model or call is no measure of this one."""
    stopping = EarlyStopping(patience=2, restore_best=True)
    run(stopping, val_loss=[0.1, 0.2, 0.3])
    trainer = run(stopping, val_loss=[3, 2, 1, 0.5])
    assert trainer.history.epochs == 4
    assert number(trainer) == 4


def test_early_stopping_goes_on_from_a_checkpoint(tmp_path):
    """Waiting that began before the stop counts."""
    values = [3, 2, 2.5, 2.6, 2.7, 2.8]
    run(EarlyStopping(patience=3, restore_best=True), Checkpoints(tmp_path), epochs=4, val_loss=values)
    resumed = run(EarlyStopping(patience=3, restore_best=True), Checkpoints(tmp_path, resume=True), val_loss=values)
    assert resumed.history["val_loss"] == values[:5]
    assert number(resumed) == 2


def test_an_unknown_measure_is_named():
    with pytest.raises(ValueError, match=r"measure='val_los': the history has \['loss', 'val_loss'\]"):
        run(EarlyStopping("val_los"), loss=[1.0], val_loss=[1.0])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: EarlyStopping(patience=0), "patience=0"),
        (lambda: EarlyStopping(patience=2.0), "patience=2.0"),
        (lambda: EarlyStopping(patience=True), "patience=True"),
        (lambda: EarlyStopping(min_delta=-0.1), "min_delta=-0.1"),
        (lambda: EarlyStopping(min_delta=NAN), "min_delta=nan"),
        (lambda: EarlyStopping(min_delta="0.1"), "min_delta='0.1'"),
        (lambda: EarlyStopping(mode="maximum"), "expected one of"),
        (lambda: EarlyStopping(3), "measure=3"),
        (lambda: Checkpoints("runs", every=0), "every=0"),
        (lambda: Checkpoints("runs", keep=0), "keep=0"),
        (lambda: Checkpoints("runs", batches=1.5), "batches=1.5"),
        (lambda: Checkpoints("runs", batches=True), "batches=True"),
        (lambda: Checkpoints(None), "folder=None"),
        (lambda: Checkpoints(3), "folder=3"),
        (lambda: Checkpoints("runs", resume="no"), "resume='no': expected True or False"),
        (lambda: TensorBoard(3), "folder=3"),
    ],
)
def test_wrong_options_are_named(made, words):
    with pytest.raises((ValueError, TypeError), match=words):
        made()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(5, 0), (6, 0), (7, 0)]),
        ({"keep": 1}, [(7, 0)]),
        ({"keep": 100}, [(e, 0) for e in range(1, 8)]),
        ({"every": 3}, [(3, 0), (6, 0), (7, 0)]),
        ({"every": 3, "keep": 2}, [(6, 0), (7, 0)]),
        ({"every": 100}, [(7, 0)]),
        ({"batches": 1, "keep": 4}, [(6, 0), (6, 1), (6, 2), (7, 0)]),
        ({"batches": 2, "every": 5, "keep": 4}, [(5, 0), (5, 2), (6, 2), (7, 0)]),
    ],
)
def test_the_last_checkpoints_stay(options, expected, tmp_path):
    run(Checkpoints(tmp_path, **options), loss=[1.0] * 7)
    places = [checkpoint.read(file)["position"] for file in checkpoint.listed(tmp_path)]
    assert [(p["epoch"], p["batch"]) for p in places] == expected
    assert len(list(tmp_path.iterdir())) == len(expected)


def test_a_run_that_stops_early_keeps_its_end(tmp_path):
    run(EarlyStopping(patience=1), Checkpoints(tmp_path, every=100), val_loss=[1, 2, 3])
    (file,) = checkpoint.listed(tmp_path)
    assert checkpoint.read(file)["position"] | {"before": 0} == {
        "before": 0,
        "epoch": 2,
        "batch": 0,
        "stopped": "val_loss has not been better than 1 for 1 epochs",
    }


def test_the_order_in_the_list_does_not_matter(tmp_path):
    """Checkpoints come last, so that they hold what the others just did."""
    for name, turned in (("a", False), ("b", True)):
        callbacks = [EarlyStopping(patience=9), Checkpoints(tmp_path / name)]
        run(*reversed(callbacks) if turned else callbacks, val_loss=[2, 1, 3])
    last = [checkpoint.read(checkpoint.listed(tmp_path / name)[-1])["callbacks"] for name in "ab"]
    assert last[0] == last[1]
    assert [entry["kind"] for entry in last[0]] == ["EarlyStopping", "Checkpoints"]
    assert (last[0][0]["best"], last[0][0]["waited"]) == (1, 1)


def test_leftovers_of_a_killed_run_go_and_other_files_stay(tmp_path):
    left, own = tmp_path / ".epoch-000001-batch-0000000.safetensors.77.tmp", tmp_path / "notes.txt"
    left.write_bytes(b"half")
    own.write_text("mine")
    run(Checkpoints(tmp_path), loss=[1.0])
    assert not left.exists()
    assert own.read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_named_before_training(tmp_path):
    path = tmp_path / "taken"
    path.write_text("mine")
    trainer = neko.Trainer(Scripted(loss=[1.0]))
    for folder in (path, path / "within"):
        with pytest.raises(OSError, match=r"taken.*: expected a folder that can be written, or another path"):
            trainer.train(X, Y, callbacks=[Checkpoints(folder)], progress=False)
    assert path.read_text() == "mine"
    assert trainer.history == {}


class Own(Callback):
    def __init__(self):
        self.seen = 0

    def epoch(self, loop):
        self.seen += loop.history["loss"][-1]

    def state(self):
        return {"seen": self.seen}

    def restore(self, saved):
        self.seen = saved["seen"]


def test_the_state_of_ones_own_callback_is_kept(tmp_path):
    values = [1.0, 2.0, 4.0, 8.0]
    run(Own(), Checkpoints(tmp_path), epochs=2, loss=values)
    own = Own()
    run(own, Checkpoints(tmp_path, resume=True), loss=values)
    assert own.seen == 15.0


def test_a_callback_that_stops_ends_the_epoch():
    class Stop(Callback):
        def batch(self, loop):
            loop.stop("enough")

    assert run(Stop(), loss=[1.0, 2.0]).history == {"loss": [1.0]}


def scalars(folder):
    """What a folder's event file holds, read by TensorFlow: {name: {step: value}}."""
    from tensorflow.compat.v1.train import summary_iterator

    found = {}
    for file in sorted(folder.iterdir()):
        for event in summary_iterator(str(file)):
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


@pytest.mark.filterwarnings("ignore:.*tf_record_iterator.*", "ignore::DeprecationWarning")
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("tensorboardX", "tensorflow"))), reason="needs tensorboardX and TensorFlow"
)
def test_tensorboard_shows_the_history(tmp_path):
    """Written by tensorboardX, read by TensorFlow; a resumed run goes on with its step."""
    values = {"loss": [0.5, 0.25, 0.125, 1.0], "val_accuracy": [0.25, 0.5, 0.75, 0.5]}
    run(TensorBoard(tmp_path / "events"), Checkpoints(tmp_path / "kept"), epochs=2, **values)
    run(TensorBoard(tmp_path / "events"), Checkpoints(tmp_path / "kept", resume=True), **values)
    expected = {name: dict(enumerate(series, start=1)) for name, series in values.items()}
    assert scalars(tmp_path / "events") == expected


def test_history_is_a_table_and_a_file(tmp_path):
    history = History(loss=[0.1, 1 / 3], val_loss=[2.0, NAN])
    assert history.rows()[0] == {"epoch": 1, "loss": 0.1, "val_loss": 2.0}
    again = History.load(history.save(tmp_path / "new" / "history.csv"))
    assert again["loss"] == history["loss"]
    assert repr(again) == repr(history)
    pandas = pytest.importorskip("pandas")
    table = history.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert table.index.name == "epoch"
    assert list(table.index) == [1, 2]
    assert np.array_equal(table.to_numpy(), np.array([[0.1, 2.0], [1 / 3, NAN]]), equal_nan=True)


def test_resume_is_an_argument_of_train(tmp_path):
    """From a folder or a file, with or without callbacks that keep checkpoints; what is changed is named."""

    def train(epochs, *callbacks, rate=0.1, **options):
        model = neko.Evaluator(neko.RNN(3, 2, "torch"), "categorical_crossentropy")
        trainer = neko.Trainer(neko.BPTT(model, learning_rate=rate))
        return trainer.train(X, Y, epochs=epochs, callbacks=callbacks, progress=False, **options)

    whole = train(4)
    train(2, neko.Checkpoints(tmp_path, keep=9))
    files = checkpoint.listed(tmp_path)
    assert train(4, resume=tmp_path) == train(4, resume=files[0]) == whole
    assert train(4, neko.Checkpoints(tmp_path), resume=str(tmp_path)) == whole
    assert len(checkpoint.listed(tmp_path)) == 3, "the run that went on keeps its checkpoints beside the old ones"
    with pytest.raises(CheckpointError, match=r"learning_rate=0\.1: this run has 0\.2"):
        train(5, rate=0.2, resume=tmp_path)
    changed = train(5, rate=0.2, resume=tmp_path, changed=("learning_rate",))
    assert changed["loss"][:4] == whole["loss"]
    with pytest.raises(ValueError, match="with resume="):
        train(5, changed=("learning_rate",))
    with pytest.raises(FileNotFoundError, match="has no checkpoint"):
        train(5, resume=tmp_path / "..")
    with pytest.raises(TypeError, match="resume=3: expected a path"):
        train(5, resume=3)
