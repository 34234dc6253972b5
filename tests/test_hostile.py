"""Damaged, truncated, foreign and hostile files of every kind: read as what they are, or refused in own words.

Nothing in them is run, nothing is written elsewhere, and they take no more memory than is stated. Files of NIR, which a
process of its own reads, are in ``tests/unit/test_nir_files.py``.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as save_tensors

import hostile
import hostile_kinds
import neko
from neko import devices, exchange, sweeps
from neko.datasets import events, fetch, mnist, speech
from neko.devices.fitting import building, reading
from neko.errors import CheckpointError
from neko.io import archives, checkpoint, files, limited, plain, signals
from neko.runs.record import read_config
from neko.sweeps.plan import read_plan
from neko.training.callbacks.conductances import Conductances
from neko.training.history import History

pytest.importorskip("torch")
QUICK, MANY = 10, 500
DEAR = ("training", "posterior")
"""Kinds that are left to the slow tests: each file is read by a run, or by a process of its own."""
CHEAP = [pytest.param(name, marks=[pytest.mark.slow] * (name in DEAR)) for name in hostile_kinds.KINDS]


def test_the_watch_sees(tmp_path):
    """The control: writing elsewhere and unpickling are noted, also where an error follows."""
    (tmp_path / "in").mkdir()

    def write():
        (tmp_path / "out").write_text("")
        raise ValueError

    for wrong in (write, lambda: pickle.loads(pickle.dumps(Marked(tmp_path / "out")))):
        with pytest.raises(AssertionError, match=r"out|find_class"), hostile.WATCH.on(tmp_path / "in"):
            wrong()


@pytest.mark.parametrize("name", CHEAP)
def test_damaged_files_are_read_or_refused(name, tmp_path):
    found = hostile.outcomes(hostile_kinds.KINDS[name], tmp_path / "files", QUICK)
    assert found["refused"]


@pytest.mark.slow
@pytest.mark.parametrize("name", hostile_kinds.KINDS)
def test_many_damaged_files_are_read_or_refused(name):
    """In a process whose memory is that of this kind alone; the files have kilobytes, so 256 MiB would be a fault."""
    command = [sys.executable, Path(hostile.__file__), name, str(MANY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.get("read", 0) + found["refused"] == MANY
    assert found["refused"] > MANY / 10
    assert found["MiB"] < 256


class Marked:
    """Pickles to something that makes a folder when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def yaml_bomb(levels=30):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, levels)]
    return "options: {}\n" + "\n".join(lines) + "\n"


YAML = {
    "a tag of Python": ("options: !!python/object/apply:os.mkdir [ran]", "of kind 'python/object/apply:os.mkdir'"),
    "a module of Python": ("options: !!python/module:os ''", "expected names, numbers, lists and mappings"),
    "a billion laughs": (yaml_bomb(), "expected at most 20,000 values"),
    "merged laughs": ("a: &a {b: 1}\noptions: {<<: [*a, *a]}", "of kind 'merge'"),
    "a loop": ("options: &a [*a]", "an alias stands within what it stands for"),
    "deep": ("options: " + "[" * 100_000, "to a depth of 32"),
    "deep blocks": ("".join(f"{' ' * k}a:\n" for k in range(1000)), "to a depth of 32"),
    "a key twice": ("options: {epochs: 1, epochs: 2}", "is there twice"),
    "an unhashable key": ("? [a]\n: b\noptions: {}", "unhashable key"),
    "a huge integer": ("options: {seed: " + "9" * 10_000 + "}", "an integer of 10000 digits"),
    "a huge hexadecimal": ("options: {seed: 0x" + "f" * 10_000 + "}", "an integer of 10002 digits"),
    "bytes": ("options: {data: !!binary aGk=}", "of kind 'binary'"),
    "a date": ("options: {data: 2026-01-01}", "of kind 'timestamp'"),
    "no integer": ("options: {seed: !!int x}", "no YAML of plain values"),
    "no boolean": ("options: {seed: !!bool x}", "no YAML of plain values"),
    "two documents": ("options: {}\n---\noptions: {}", "expected a single document"),
    "a byte 0": ("options: {data: 'a\0b'}", "it has a byte 0"),
    "no UTF-8": (b"options: {data: \xff}", "not text in UTF-8"),
    "UTF-16": ("options: {}".encode("utf-16"), "not text in UTF-8"),
    "a megabyte": ("#" * 2**20 + "\noptions: {}", "expected at most 1,048,576"),
    "a pickle": (pickle.dumps({"options": {}}), "not text"),
    "nothing": ("", "expected"),
}


@pytest.mark.parametrize("reader", [read_config, read_plan])
@pytest.mark.parametrize("case", YAML)
def test_hostile_yaml_is_refused(case, reader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, told = YAML[case]
    path = tmp_path / "hostile.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    tracemalloc.start()
    with pytest.raises(ValueError, match=told) as caught, hostile.WATCH.on(tmp_path), hostile.in_time(case):
        reader(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert peak < 32 * plain.LIMIT
    assert os.listdir(tmp_path) == ["hostile.yaml"]


def test_an_alias_of_a_few_values_is_read(tmp_path):
    (tmp_path / "sweep.yaml").write_text("options: {data: digits}\nvary: {hidden: &n [8, 16], batch_size: *n}\n")
    found = read_plan(tmp_path / "sweep.yaml")
    assert [values.points() for values in found.vary.values()] == [[8, 16], [8, 16]]


@pytest.mark.parametrize(
    "content",
    [
        "options: {}\nseeds: '0:1000000000000'",
        "options: {}\nvary: {hidden: {from: 1, to: 1000000000000}}",
        "options: {}\nvary: {learning_rate: {from: 0.1, to: 1, steps: 1000000000}}",
        "options: {}\nsearch: random\ntrials: 1000000000\nvary: {hidden: [1, 2]}",
    ],
)
def test_a_sweep_without_end_is_refused(content, tmp_path):
    (tmp_path / "sweep.yaml").write_text(content)
    with pytest.raises(ValueError, match=f"at most {sweeps.plan.MOST:,} trials"), hostile.in_time(content):
        read_plan(tmp_path / "sweep.yaml")


JSON = {
    "deep": "[" * 100_000,
    "less deep": "[" * 500 + "]" * 500,
    "a name twice": '{"neko device": 1, "neko device": 1}',
    "a huge integer": '{"neko device": ' + "9" * 10_000 + "}",
    "no UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"neko device": 1}'.encode("utf-16"),
    "a byte 0": '{"neko device": 1}\0',
    "a megabyte": " " * 2**20 + "{}",
    "a pickle": pickle.dumps({}),
}


@pytest.mark.parametrize("case", JSON)
def test_hostile_json_is_refused(case, tmp_path):
    content = JSON[case] if isinstance(JSON[case], bytes) else JSON[case].encode()
    exchange.save_pretrained(hostile_kinds.small(), tmp_path)
    for name, reader in (
        ("d.json", devices.load),
        ("config.json", lambda path: neko.load_pretrained(path.parent, backend="torch")),
        ("trial.json", lambda path: sweeps.trial.outcome_of(path.parent)),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"JSON|UTF-8|byte 0|bytes") as caught, hostile.in_time(case):
            reader(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 10**400, "1e-6", None, [1e-6], True], ids=range(8))
def test_constants_that_are_no_numbers_are_refused(value, tmp_path):
    path = devices.save(tmp_path / "d.json", devices.SoftBounds())
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "constants": {**content["constants"], "dg_min": value}}))
    with pytest.raises(ValueError, match="dg_min"):
        devices.load(path)


def header(shape, dtype="<f8", size=0):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(size)


def npy_of(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def pickled(path):
    stream = io.BytesIO()
    np.save(stream, np.array([Marked(path)], dtype=object), allow_pickle=True)
    return stream.getvalue()


NPY = {
    "eight terabytes": header((2**40,)),
    "more than 64 bits": header((2**40, 2**40)),
    "nothing wide": header((0, 2**62)),
    "a negative shape": header((-1, 8), size=64),
    "longer than it says": header((1,), size=64),
    "a structure": header((1,), [("a", "<f8")], 8),
    "elements of no size": header((2**40,), "V0"),
    "nested": npy_of("(" * 9000),
    "code": npy_of("{'descr': __import__('os').mkdir('ran'), 'fortran_order': False, 'shape': (1,)}"),
    "an archive": b"PK\x05\x06" + bytes(18),
}


@pytest.mark.parametrize("case", [*NPY, "a pickle"])
def test_hostile_arrays_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickled(tmp_path / "ran") if case == "a pickle" else NPY[case]
    Path("x.npy").write_bytes(content)
    with zipfile.ZipFile("x.npz", "w") as archive:
        archive.writestr("x.npy", content)
    for name, reader in (("x.npy", lambda path: signals.read(path)), ("x.npz", archives.arrays)):
        with pytest.raises(ValueError, match=name), hostile.WATCH.on(tmp_path), hostile.in_time(case):
            reader(tmp_path / name)
    assert sorted(os.listdir()) == ["x.npy", "x.npz"]


def archived(members, *, at=None, value=0):
    """An archive whose directory has another value at a place of its last entry."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    data = bytearray(stream.getvalue())
    if at is not None:
        at += data.rindex(b"PK\x01\x02")
        data[at : at + 2] = value.to_bytes(2, "little")
        data[at + 2 : at + 4] = bytes(2) if value == 100 else data[at + 2 : at + 4]
    return bytes(data)


def test_archives_are_read_in_memory_and_within_their_limit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEKO_DATA", str(tmp_path))
    monkeypatch.setattr(archives, "LIMIT", 2**22)
    bomb = {"bomb.npy": bytes(2**24)}
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x", b"1")
    cases = {
        "a bomb": (archived(bomb), "expected at most 131,072 of 4,194,304"),
        "a bomb that claims to be small": (archived(bomb, at=24, value=100), "damaged"),
        "a member twice": (archived({"x": b"1", "y": b"2"}).replace(b"y", b"x"), "there twice"),
        "other compression": (other.getvalue(), "not compressed by deflate"),
        "encrypted": (archived({"a": b"x"}, at=8, value=1), "encrypted"),
    }
    for case, (content, told) in cases.items():
        Path("a.zip").write_bytes(content)
        tracemalloc.start()
        for name in ("arrays:0", "zip:whole"):
            file = fetch.DataFile("a.zip", (name,), ())
            with pytest.raises(ValueError, match=told), hostile.WATCH.on(tmp_path), hostile.in_time(case):
                fetch.find(file)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * archives.LIMIT, case
    assert os.listdir() == ["a.zip"]


def test_names_of_members_lead_nowhere(tmp_path, monkeypatch):
    """Members are read by name, never unpacked: absolute names, names upwards and links are only names."""
    from neko.datasets import fsdd

    folder = tmp_path / "data"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for name in ("../../out.wav", "/tmp/neko-out.wav", "r/recordings/../../0_ann_0.wav"):
            archive.writestr(name, hostile_kinds.wav([1, 2], channels=1))
        link = zipfile.ZipInfo("r/recordings/1_ann_0.wav")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    monkeypatch.setenv("NEKO_DATA", str(folder))
    monkeypatch.setenv("NEKO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fsdd, "ARCHIVE", fsdd.ARCHIVE._replace(name="a.zip", urls=()))
    with pytest.raises(OSError, match=r"fsdd\.npz' cannot be made: .*a\.zip is damaged"), hostile.WATCH.on(tmp_path):
        fsdd.read()
    assert not list(tmp_path.rglob("*out.wav"))


def test_a_gzip_bomb_under_a_known_name_is_not_inflated(tmp_path, monkeypatch):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(2**25)))
    monkeypatch.setenv("NEKO_DATA", str(tmp_path))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"t10k-labels.*delete it or fetch it again"):
        mnist.read("t10k-labels-idx1-ubyte.gz", header=8)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_headers_of_sound_promise_no_memory(tmp_path):
    sound = hostile_kinds.wav(np.arange(1000), channels=1)
    for at in (4, 40):
        huge = sound[:at] + b"\xff\xff\xff\xff" + sound[at + 4 :]
        (tmp_path / "s.wav").write_bytes(huge)
        tracemalloc.start()
        _, x = signals.read(tmp_path / "s.wav")
        assert x.shape == (1000, 1)
        assert tracemalloc.get_traced_memory()[1] < 2**20
        tracemalloc.stop()
    with pytest.raises(ValueError, match="promises"):
        speech.read_audio(sound[:40] + b"\xff\xff\xff\x7f" + sound[44:], "s.wav")
    many = hostile_kinds.SPHERE.replace("sample_count -i 800", "sample_count -i -1").ljust(1024).encode()
    with pytest.raises(ValueError, match="promises -1 samples"):
        speech.read_audio(many + bytes(100), "s.wav")


TABLES = {
    "a line without end": (b"1," * 2**20, "a line of more than"),
    "a quote without end": (b'"' + b"a\n" * 100_000, "CSV|expected"),
    "a byte 0": (b"1,2\n3,\0004\n", "byte 0"),
    "no UTF-8": (b"1,2\n\xff\xfe,4\n", "UTF-8"),
    "a pickle": (pickle.dumps([1.0]), "UTF-8|byte 0|expected"),
}


@pytest.mark.parametrize("case", TABLES)
def test_hostile_tables_are_refused(case, tmp_path):
    content, told = TABLES[case]
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    for reader in (signals.read, reading.read, History.load, Conductances.read):
        with pytest.raises(ValueError, match=f"{told}|is another file"), hostile.in_time(case):
            reader(path)


def test_tables_are_read_within_their_limits(tmp_path, monkeypatch):
    """Per number of a signal 8 bytes, per number of a history 64, per line of pulses 1 KiB: no more than twice."""
    path, count = tmp_path / "t.csv", 1_000
    pulses = "".join(f"{k},{k}.5,up,a device\n" for k in range(count))
    cases = (
        (signals.read, "1,2,3,4,5,6,7,8,9,0\n" * count, 8 * 10 * count),
        (History.load, "epoch,a,b,c\n" + "1,2,3,4\n" * count, 64 * 4 * count),
        (lambda p: reading.read(p, unit="S"), f"pulse,conductance,direction,device\n{pulses}", 1024 * count),
    )
    for reader, content, stated in cases:
        path.write_text(content)
        tracemalloc.start()
        reader(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * stated
        tracemalloc.stop()
    monkeypatch.setattr(reading, "LINES", 500)
    with pytest.raises(ValueError, match=r"expected at most|more than 500 lines"):
        reading.read(path, unit="S")
    monkeypatch.setattr(building, "PULSES", 10_000)
    with pytest.raises(ValueError, match="expected at most 10,000"):
        building.built(path, [(k, 9_000 * k, 1.0, 1.0, "", "") for k in range(3)])
    monkeypatch.setattr(signals, "LIMIT", 2**16)
    path.write_text("1,2\n" * 5_000)
    with pytest.raises(ValueError, match="expected at most 8,192 numbers"):
        signals.read(path)
    with pytest.raises(ValueError, match="expected at most"):
        limited.check(path, 10)


def test_an_event_far_away_in_time_takes_no_memory():
    recording = np.array([(0, 0, 0, 2**50)], dtype=[("x", "u1"), ("y", "u1"), ("p", "u1"), ("t", "u8")])
    with pytest.raises(ValueError, match="expected at most 134,217,728 numbers of a recording"):
        events.binned(recording, (34, 34, 2))


def signed(state, tensors=()):
    head = {"format": 1, "neko": "0", "state": state}
    arrays = dict(tensors)
    return save_tensors(arrays, {"neko": json.dumps({**head, "digest": checkpoint.digest(head, arrays)})})


def nested(depth):
    state = {}
    for _ in range(depth):
        state = {"a": state}
    return state


FORGED = ([], 3, None, {"a": {"$tensor": "none"}}, {"a": {"$tensor": []}}, nested(400), {"params": 1}, {"params": {}})


@pytest.mark.parametrize("state", FORGED, ids=range(len(FORGED)))
def test_a_forged_state_is_refused(state, tmp_path):
    """Its digest is right."""
    path = tmp_path / "f.safetensors"
    path.write_bytes(signed(state))
    with pytest.raises(CheckpointError, match=r"f\.safetensors"):
        neko.checkpoint.load_weights(hostile_kinds.small(), path)
    with pytest.raises(CheckpointError, match=r"f\.safetensors"):
        exchange.load_network(path, "torch")


def test_headers_of_tensors_promise_no_memory(tmp_path):
    (tmp_path / "c.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    content = b'{"a":{"dtype":"F64","shape":[1099511627776],"data_offsets":[0,8796093022208]}}'
    (tmp_path / "d.safetensors").write_bytes(len(content).to_bytes(8, "little") + content + bytes(100))
    for name in ("c", "d"):
        with pytest.raises(CheckpointError, match="truncated or no safetensors"):
            checkpoint.read(tmp_path / f"{name}.safetensors")


def test_a_network_that_is_larger_than_its_file_is_refused(tmp_path):
    exchange.save_pretrained(hostile_kinds.small(), tmp_path)
    wide = 10**6
    weights = {
        "layers.0.w_in": np.zeros((1, wide), np.float32),
        "layers.0.w_rec": np.zeros((1, 1), np.float32),
        "readout.w_out": np.zeros((0, 10**12), np.float32),
        "readout.b_out": np.zeros(1, np.float32),
    }
    (tmp_path / "model.safetensors").write_bytes(save_tensors(weights))
    config = json.loads((tmp_path / "config.json").read_text())
    config["network"]["cells"][0]["units"] = wide
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"has 1,000,001,\d+,000,000 weights, 1,000,002 are there|weights, "):
        neko.load_pretrained(tmp_path, backend="torch")


def test_devices_and_pipes_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (Path("/dev/zero"), tmp_path / "pipe"):
        link = tmp_path / "config.yaml"
        link.symlink_to(place)
        for reader in (read_config, read_plan, History.load, plain.read_json):
            with pytest.raises((ValueError, OSError), match=r"config\.yaml"), hostile.in_time(str(place)):
                reader(link)
        link.unlink()


def test_links_of_a_run_lead_out_of_nothing(tmp_path):
    """Neither checkpoints nor figures are written, or old ones deleted, behind a link in a run's folder."""
    config = neko.runs.TrainConfig(data="none.py:load", backend="torch")
    other, folder = tmp_path / "other", tmp_path / "run"
    other.mkdir()
    (other / "epoch-000001-batch-0000000.safetensors").write_bytes(b"mine")
    for name in ("checkpoints", "figures"):
        folder.mkdir()
        (folder / name).symlink_to(other)
        with pytest.raises(ValueError, match=f"{name} is a link to .*expected a folder in"):
            neko.runs.run(config, folder, progress=False)
        (folder / name).unlink()
        folder.rmdir()
    assert os.listdir(other) == ["epoch-000001-batch-0000000.safetensors"]
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "trials").symlink_to(other)
    plan = sweeps.plan.plan_of({"options": {"data": "digits"}})
    with pytest.raises(ValueError, match="trials is a link to"):
        sweeps.Sweep(plan, tmp_path / "sweep").prepare()


def test_a_file_is_written_in_place_of_a_link(tmp_path):
    """Also of one that stands where the temporary file would be, and of a lock."""
    from filelock import FileLock

    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in ("history.csv", f".history.csv.{os.getpid()}.tmp", ".lock"):
        (tmp_path / name).symlink_to(victim)
    files.write(tmp_path / "history.csv", b"ours")
    with pytest.raises(OSError, match="lock"), FileLock(tmp_path / ".lock"):
        pass
    assert victim.read_text() == "mine"
    assert (tmp_path / "history.csv").read_bytes() == b"ours"
    assert not (tmp_path / "history.csv").is_symlink()


def test_arrays_in_lzma_are_read_piece_by_piece(tmp_path, monkeypatch):
    x = np.zeros(2**17)
    stream = io.BytesIO()
    np.save(stream, x)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", stream.getvalue())
    tracemalloc.start()
    np.testing.assert_array_equal(archives.arrays(tmp_path / "x.npz")["x"], x)
    assert tracemalloc.get_traced_memory()[1] < 2 * x.nbytes + 2**24  # its dictionary has 8 MiB
    tracemalloc.stop()
    content = bytearray((tmp_path / "x.npz").read_bytes())
    at = 30 + int.from_bytes(content[26:28], "little") + int.from_bytes(content[28:30], "little") + 5
    content[at : at + 4] = (2**32 - 1).to_bytes(4, "little")
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match="not compressed by deflate"):
        archives.arrays(tmp_path / "x.npz")


def test_a_folder_of_links_is_read_as_in_the_cache_of_a_hub(tmp_path):
    exchange.save_pretrained(hostile_kinds.small(), tmp_path / "blobs")
    (tmp_path / "net").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "net" / name).symlink_to(tmp_path / "blobs" / name)
    with hostile.WATCH.on(tmp_path / "net"):
        again = neko.load_pretrained(tmp_path / "net", backend="torch")
    np.testing.assert_array_equal(again.params["layers.0.w_in"], hostile_kinds.small().params["layers.0.w_in"])
    (tmp_path / "net" / "model.safetensors").unlink()
    (tmp_path / "net" / "model.safetensors").symlink_to("/dev/zero")
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors"):
        neko.load_pretrained(tmp_path / "net", backend="torch")
