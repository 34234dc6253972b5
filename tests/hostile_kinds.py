"""The kinds of files that are read, each with a good one, how it is damaged, and its documented errors."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import neko
from hostile import mutated, values
from neko import devices, exchange
from neko.datasets import ecg, fetch, fsdd, mitdb, nmnist, phones, speech
from neko.devices import fitting
from neko.errors import CheckpointError, NonFiniteError
from neko.io import archives, checkpoint, signals
from neko.runs.record import read_config, write_config
from neko.sweeps import plan as sweep_plan
from neko.sweeps import search
from neko.sweeps.trial import Outcome, outcome_of, record
from neko.training.callbacks.conductances import COLUMNS, Conductances
from neko.training.history import History

from loopback import zipped

RNG = np.random.default_rng(0)


@dataclasses.dataclass
class Kind:
    """A kind of file: `make` writes a good one into a folder, `read` reads it, `check` that it is of its form."""

    name: str
    file: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    check: Callable[[Any], None] = lambda found: None
    errors: tuple[type[Exception], ...] = (ValueError,)
    change: Callable[[bytes, int], bytes] = mutated
    allowed: tuple[str, ...] = ()
    good: bytes = b""

    def prepare(self, folder):
        self.make(folder)
        self.good = (folder / self.file).read_bytes()
        self.check(self.read(folder / self.file))

    def damage(self, folder, seed):
        path = folder / self.file
        path.write_bytes(self.change(self.good, seed))
        return path

    def told(self, path):
        """What an error must name."""
        return path.name


KINDS: dict[str, Kind] = {}


def kind(name, file, make, read, check=lambda found: None, **options):
    KINDS[name] = Kind(name, file, make, read, check, **options)


def expect(condition, what="another form"):
    if not condition:
        raise AssertionError(what)


def text(file, content):
    return lambda folder: (folder / file).write_text(content)


# Checkpoints: as bytes, and with another state under a right digest.
STATE = {"kind": "other", "w": np.arange(12.0).reshape(3, 4), "b": np.ones(2, np.int8), "steps": 7, "best": [1.5, None]}


def same_state(found):
    expect(json.dumps(checkpoint.split(found, "", {})) == json.dumps(checkpoint.split(STATE, "", {})))
    expect(found["w"].tobytes() == STATE["w"].tobytes())


kind(
    *("checkpoint", "a.safetensors", lambda folder: checkpoint.write(folder / "a.safetensors", STATE)),
    *(checkpoint.read, same_state),
    errors=(CheckpointError,),
)


def forged(data, seed):
    """A checkpoint with another state, signed as neko would."""
    size = int.from_bytes(data[:8], "little")
    head = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["neko"])
    tensors, rng = load_tensors(data), random.Random(seed)
    if rng.random() < 0.3:
        name = rng.choice(sorted(tensors))
        w = tensors.pop(name)
        other = [
            None,
            np.empty((0, *w.shape[1:]), w.dtype),
            w.reshape(-1),
            w.astype(np.int8),
            np.zeros((0, 10**9), w.dtype),
            w * np.nan,
        ]
        if (new := rng.choice(other)) is not None:
            tensors[name] = np.ascontiguousarray(new)
    else:
        head["state"] = values(head["state"], rng)
    head.pop("digest")
    return save_tensors(tensors, {"neko": json.dumps({**head, "digest": checkpoint.digest(head, tensors)})})


def small(seed=0):
    return neko.LIF(6, 3, "torch", seed=seed).build(4)


def same_weights(model):
    expect({name: tuple(w.shape) for name, w in model.params.items()} == SHAPES)


SHAPES = {"layers.0.w_in": (4, 6), "layers.0.w_rec": (6, 6), "readout.w_out": (6, 3), "readout.b_out": (3,)}


def weights_of(path):
    model = small(1)
    neko.checkpoint.load_weights(model, path)
    return model


kind(
    *("weights", "w.safetensors", lambda folder: neko.checkpoint.save_weights(small(), folder / "w.safetensors")),
    *(weights_of, same_weights),
    errors=(CheckpointError,),
    change=forged,
)
kind(
    *("network", "net.safetensors", lambda folder: exchange.save_network(small(), folder / "net.safetensors")),
    lambda path: exchange.load_network(path, "torch"),
    lambda model: expect(model.params),
    errors=(CheckpointError,),
    change=forged,
)


def trained(path, epochs):
    import runs

    trainer = runs.trainer_of("eprop", "torch")
    keep = neko.EarlyStopping("val_loss", patience=100, restore_best=True)
    options = {**runs.data_of("eprop"), "validation": runs.arrays(), "callbacks": [keep], "progress": False}
    if epochs == 1:
        options["callbacks"].append(neko.Checkpoints(path))
    with contextlib.suppress(NonFiniteError):  # of weights that are other numbers
        trainer.train(**options, epochs=epochs, resume=path if epochs > 1 else None)


def first_run(folder):
    trained(folder / "run", 1)
    (found,) = checkpoint.listed(folder / "run")
    found.rename(folder / "run.safetensors")
    (folder / "run").rmdir()


kind(
    *("training", "run.safetensors", first_run, lambda path: trained(path, 2)),
    errors=(CheckpointError,),
    change=forged,
)


# Runs and sweeps.
def plain_values(data, seed):
    """As many JSON files of another content as damaged ones; YAML reads JSON too."""
    rng = random.Random(seed)
    return json.dumps(values(json.loads(data), rng)).encode() if rng.random() < 0.5 else mutated(data, seed)


def yaml_of(folder, name):
    import yaml

    path = folder / name
    path.write_text(json.dumps(yaml.safe_load(path.read_text()), indent=1))


def write_run(folder):
    write_config(neko.runs.TrainConfig(backend="torch", data="digits"), folder)
    yaml_of(folder, "config.yaml")


kind(
    *("config.yaml", "config.yaml", write_run, read_config, lambda found: expect(found.command in neko.runs.COMMANDS)),
    change=plain_values,
)
kind("config.yaml as text", "config.yaml", lambda folder: write_config(neko.runs.SampleConfig(), folder), read_config)
PLAN = {
    "command": "train",
    "options": {"data": "digits", "backend": "torch", "epochs": 2},
    "vary": {"rule": ["eprop", "bptt"], "learning_rate": {"from": 1e-4, "to": 0.1, "scale": "log", "steps": 3}},
    "seeds": "0:3",
    "maximise": "val_accuracy",
}


def settings(path):
    found = sweep_plan.read_plan(path)
    if found.search == "grid":
        expect(0 < len(search.grid(found).settings({})) <= sweep_plan.MOST)
    return found


kind("sweep", "sweep.yaml", text("sweep.yaml", json.dumps(PLAN, indent=1)), settings, change=plain_values)
kind(
    *("history", "history.csv"),
    lambda folder: History(loss=[0.5, 1e-300, float("inf")], accuracy=[0.1, 0.25, 1.0]).save(folder / "history.csv"),
    History.load,
    lambda found: expect(len({len(values) for values in found.values()}) <= 1),
)
kind(
    *("conductances", "c.csv"),
    text("c.csv", f"{','.join(COLUMNS)}\n" + "".join(f"{e},w,plus,1e-6,1e-4,{','.join('3' * 40)}\n" for e in (1, 2))),
    Conductances.read,
)


def trial(path):
    found = outcome_of(path.parent)
    return neko.sweeps.table.spread([*found.measures.values()])


kind(
    *("trial", "trial.json", lambda folder: record(folder, Outcome("done", {"loss": 0.5, "val_loss": 0.25}, 1.5))),
    trial,
    change=plain_values,
)

# Devices.
DEVICE = devices.SoftBounds(dg_min_dtod=0.3, imperfections=[devices.Levels(64), devices.ReadNoise(0.01)])
kind(
    *("device", "d.json", lambda folder: devices.save(folder / "d.json", devices.SingleDevice(DEVICE))),
    devices.load,
    lambda found: expect(isinstance(found, devices.Device | devices.storage.Storage)),
    change=plain_values,
)
PULSES = "pulse;conductance (uS);direction;device\n" + "".join(
    f"{k % 9};{1 + 0.1 * k:.3f};{'up' if k < 9 else 'down'};{k // 9}\n" for k in range(18)
)
kind(
    *("pulses", "p.csv", text("p.csv", PULSES), fitting.reading.read),
    lambda found: expect(found.trains and all(len(train.g) > 1 for train in found.trains)),
)


# Signals.
def written(folder, name, content):
    (folder / name).write_bytes(content)


def wav(samples, width=2, channels=2, rate=16000):
    import wave

    stream = io.BytesIO()
    with wave.open(stream, "wb") as audio:
        audio.setparams((channels, width, rate, 0, "NONE", ""))
        audio.writeframes(np.asarray(samples, f"<i{width}").tobytes())
    return stream.getvalue()


def npy(x):
    stream = io.BytesIO()
    np.save(stream, x)
    return stream.getvalue()


def is_signal(found):
    names, x = found
    expect(x.ndim == 2 and x.size and len(names) == x.shape[1])


TABLE = "left,right\n" + "".join(f"{0.1 * k:.3f},{-k}\n" for k in range(30))
for suffix, content in (
    (".csv", TABLE.encode()),
    (".npy", npy(RNG.standard_normal((30, 2)))),
    (".wav", wav(RNG.integers(-99, 99, 60))),
):
    make = functools.partial(written, name=f"s{suffix}", content=content)
    kind(f"signal {suffix}", f"s{suffix}", make, signals.read, is_signal)


# Folders of hubs.
def hub(folder):
    evaluator = neko.Evaluator(small(), "categorical_crossentropy", ["accuracy"], encoder="rate(steps=3)")
    neko.save_pretrained(evaluator, folder)


def is_evaluator(found):
    expect(found.params)
    cells = getattr(found, "model", found).network.cells
    constants = [v for cell in cells for v in vars(cell).values() if isinstance(v, float)]
    expect(np.isfinite(constants).all(), "a constant is not finite")


class Hub(Kind):
    def told(self, path):
        return str(path.parent)


for file, change in (("config.json", plain_values), ("model.safetensors", mutated)):
    KINDS[f"hub {file}"] = Hub(
        *(f"hub {file}", file, hub, lambda path: neko.load_pretrained(path.parent, backend="torch"), is_evaluator),
        errors=(CheckpointError,),
        change=change,
    )


# Data sets: files whose content is known, archives whose is not, and recordings of a licensed copy.
ARRAYS = {"x": RNG.integers(0, 9, (5, 3)), "names": np.array(["a", "bc"])}


def npz(folder):
    np.savez_compressed(folder / "known.npz", **ARRAYS)


def found_arrays(path):
    digest = fetch.arrays_digest(ARRAYS)
    with mock.patch.dict(os.environ, {"NEKO_DATA": str(path.parent)}):
        return fetch.arrays_of(fetch.DataFile(path.name, (f"arrays:{digest}",), ()))


kind(
    *("known arrays", "known.npz", npz, found_arrays),
    lambda found: expect(fetch.arrays_digest(found) == fetch.arrays_digest(ARRAYS)),
)
kind("arrays", "any.npz", lambda folder: written(folder, "any.npz", npz_bytes()), archives.arrays)


def npz_bytes():
    stream = io.BytesIO()
    np.savez_compressed(stream, **ARRAYS)
    return stream.getvalue()


def known(path):
    import hashlib

    good = b"an idx file" * 100
    pinned = fetch.DataFile(path.name, ("sha256:" + hashlib.sha256(good).hexdigest(),), ())
    with mock.patch.dict(os.environ, {"NEKO_DATA": str(path.parent)}):
        expect(fetch.find(pinned).read_bytes() == good)


kind("known file", "idx.gz", lambda folder: written(folder, "idx.gz", b"an idx file" * 100), known)


def rezipped(data, seed):
    """An archive with a damaged member, or a damaged archive."""
    rng = random.Random(seed)
    if rng.random() < 0.3:
        return mutated(data, seed)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    content = members.pop(name)
    if rng.random() < 0.8:
        members[rng.choice([name, name, name, f"../{name}", f"/{name}"])] = mutated(content, seed) if content else b"x"
    return zipped(members)


ANNOTATIONS = np.array([1 << 10 | 50, 1 << 10 | 300, 59 << 10, 0, 400, 5 << 10, 1 << 10 | 200, 0], "<u2").tobytes()
NMNIST = {
    "r/NMNISTsmall/train1K.txt": b"#sample\t#class\n2\t7\n10\t1\n",
    "r/NMNISTsmall/test100.txt": b"60001\t3\n",
    "r/NMNISTsmall/2.bs2": bytes.fromhex("0321812345 0321012346"),
    "r/NMNISTsmall/10.bs2": bytes.fromhex("0000ffffff"),
    "r/NMNISTsmall/60001.bs2": b"",
}
MITDB = {"m/100.atr": ANNOTATIONS, "m/100.dat": RNG.bytes(3 * 1500)}
FSDD = {f"r/recordings/{k}_ann_0.wav": wav(RNG.integers(-9, 9, 50), channels=1, rate=8000) for k in range(3)}


class Archive(Kind):
    """Under a checksum that any whole archive has; the arrays that are made of it are known by their own."""

    def told(self, path):
        return path.name


def from_archive(module, owner, path):
    pinned = module.ARCHIVE._replace(name=path.name, urls=())
    wanted = owner.FILE._replace(name="none/made.npz")
    environment = {"NEKO_DATA": str(path.parent), "NEKO_CACHE": str(path.parent / "cache")}
    with mock.patch.dict(os.environ, environment), mock.patch.object(module, "ARCHIVE", pinned):
        arrays = (mitdb.beats if module is mitdb else module.recordings)()
        expect(arrays)
        return wanted


for module, owner, members in ((nmnist, nmnist, NMNIST), (mitdb, ecg, MITDB), (fsdd, fsdd, FSDD)):
    name = module.__name__.rpartition(".")[2]
    KINDS[f"archive of {name}"] = Archive(
        f"archive of {name}",
        f"{name}.zip",
        functools.partial(written, name=f"{name}.zip", content=zipped(members)),
        functools.partial(from_archive, module, owner),
        change=rezipped,
    )

AUDIO = RNG.integers(-999, 999, 800)
SPHERE = (
    "NIST_1A\n   1024\nchannel_count -i 1\nsample_count -i 800\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
    "sample_byte_format -s2 01\nend_head\n"
)
for name, content in (
    ("RIFF", wav(AUDIO, channels=1)),
    ("SPHERE", SPHERE.ljust(1024).encode() + AUDIO.astype("<i2").tobytes()),
):
    kind(
        *(f"speech {name}", "a.wav", functools.partial(written, name="a.wav", content=content)),
        lambda path: speech.read_audio(path.read_bytes(), path.name),
        lambda found: expect(found.dtype == np.int16 and found.ndim == 1),
    )


def labelled(path):
    from neko.datasets import timit

    segments = phones.read_segments(timit.ascii(path), path.name)
    return phones.labels(segments, speech.centres(50), 39)


kind("phones", "a.phn", text("a.phn", "".join(f"{500 * k} {500 * k + 400} aa\n" for k in range(20))), labelled)


# Posteriors, in HDF5.
DRAWS = RNG.standard_normal((2, 5, 3, 2))


def posterior(folder):
    parts = {"logdensity": np.zeros((2, 5)), "acceptance": np.ones((2, 5)), "step_size": np.full(2, 0.1)}
    neko.bayes.Posterior({"w": DRAWS}, **parts).save(folder / "posterior.nc")


if importlib.util.find_spec("h5netcdf"):
    kind(
        *("posterior", "posterior.nc", posterior, neko.bayes.Posterior.load),
        lambda found: expect(found.logdensity.ndim == 2),
        allowed=("subprocess.Popen",),  # the one that reads it first, see neko.io.hdf5
    )
