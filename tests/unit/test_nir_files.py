"""Damaged, foreign and hostile NIR files: refused in own words, by a process that may crash in place of this one."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from neko.errors import ExchangeError
from neko.exchange import from_nir
from neko.io import hdf5, nir

from nir_graphs import alone, cuba, lif

h5py = pytest.importorskip("h5py")
pytest.importorskip("nir")
FAST, SLOW = 40, 500
DATA = Path(os.environ.get("NEKO_DATA", "none")) / "nir"


def made(folder):
    return nir.write(folder / "good.nir", alone(lif(4), n=4))


def edited(folder, change):
    """A good file with a change by h5py."""
    path = made(folder)
    with h5py.File(path, "r+") as file:
        change(file["node/nodes/a"])
    return path


def linked(node, link):
    del node["tau"]
    node["tau"] = link


def virtual(node):
    del node["tau"]
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("secret.h5", "tau", (4,))
    node.create_virtual_dataset("tau", layout)


def external(node):
    del node["tau"]
    node.create_dataset("tau", (4,), "f8", external=[("secret.bin", 0, 32)])


def huge(node):
    del node["tau"]
    node.create_dataset("tau", (2**40,), "f8", chunks=(2**16,))


def nested(node):
    for depth in range(40):
        node = node.create_group(f"in{depth}")


def around(node):
    node["again"] = node


def many(node):
    """Groups of two links to the next one: 2¹⁴ ways to the last."""
    for _ in range(13):
        inner = node.create_group("one")
        node["two"] = inner
        node = inner


def references(node):
    del node["tau"]
    node.create_dataset("tau", data=node.ref, dtype=h5py.ref_dtype)


HOSTILE = {
    "another file": (lambda node: linked(node, h5py.ExternalLink("secret.h5", "tau")), "'/node/nodes/a/tau' is a link"),
    "another place": (lambda node: linked(node, h5py.SoftLink("/node/nodes/a/r")), "'/node/nodes/a/tau' is a link"),
    "a view of another file": (virtual, "'/node/nodes/a/tau' is not in this file"),
    "bytes of another file": (external, "'/node/nodes/a/tau' is not in this file"),
    "eight terabytes": (huge, r"shape \(1099511627776,\): expected at most 268435456 bytes in the whole file"),
    "too deep": (nested, "expected at most 10000 parts in groups of depth 16"),
    "a group in itself": (around, "expected at most 10000 parts in groups of depth 16"),
    "too many": (many, "expected at most 10000 parts"),
    "references": (references, "holds object: expected numbers of up to 64 bits, or texts"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("secret.h5", "w") as secret:
        secret["tau"] = np.full(4, 0.02)
    Path("secret.bin").write_bytes(np.full(4, 0.02).tobytes())
    change, told = HOSTILE[case]
    path = edited(tmp_path, change)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ExchangeError, match=told):
        from_nir(path, "torch", dt=1.0)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


FOREIGN = {
    "empty": (b"", "is damaged, or not an HDF5 file"),
    "text": (b"no such thing", "is damaged, or not an HDF5 file"),
    "pickle": (b"\x80\x04cos\nsystem\n(S'touch hacked'\ntR.", "is damaged, or not an HDF5 file"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_files_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.nir").write_bytes(FOREIGN[case][0])
    with pytest.raises(ExchangeError, match=FOREIGN[case][1]):
        from_nir(tmp_path / "net.nir", "torch", dt=1.0)
    assert [file.name for file in tmp_path.iterdir()] == ["net.nir"]


def test_another_hdf5_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "net.nir", "w") as file:
        file["x"] = np.ones(3)
    with pytest.raises(ExchangeError, match="'graph' is no node of NIR: expected a group with a 'type'"):
        from_nir(tmp_path / "net.nir", "torch", dt=1.0)


def test_a_file_without_the_package_says_what_to_install(tmp_path, monkeypatch):
    path = made(tmp_path)
    monkeypatch.setattr(hdf5.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'neko-learning\[nir\]'"):
        from_nir(path, "torch", dt=1.0)


def test_a_file_that_takes_too_long_is_refused(tmp_path, monkeypatch):
    path = made(tmp_path)
    monkeypatch.setattr(hdf5, "SECONDS", 1e-3)
    with pytest.raises(ExchangeError, match=r"takes longer than 0\.001 s to read"):
        from_nir(path, "torch", dt=1.0)


@pytest.mark.parametrize(("share", "granted"), [(1.0, True), (2.0, False)])
def test_the_process_may_hold_twice_the_limit(share, granted):
    """With what the interpreter itself holds."""
    pytest.importorskip("resource")
    code = f"from neko.io import hdf5; hdf5.restrict(); bytearray(int({share} * hdf5.LIMIT))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True
    )
    assert (done.returncode == 0) is granted
    assert (b"MemoryError" in done.stderr) is not granted


def sources(folder):
    """Good files to damage: compressed arrays in a chain, and files of other libraries."""
    own = [nir.write(folder / f"good{i}.nir", alone(neuron, n=4)) for i, neuron in enumerate((lif(4), cuba(4)))]
    return [path.read_bytes() for path in (*own, *sorted(DATA.glob("*.nir")))]


def damaged(data, seed):
    """A file cut off, with some bytes changed, most of them where its structure is, or with a part moved."""
    rng = random.Random(seed)
    changed = bytearray(data)
    kind = rng.choice(["cut", "bytes", "bytes", "bytes", "part"])
    if kind == "cut":
        return bytes(changed[: rng.randrange(len(changed))])
    if kind == "part":
        size, at, to = rng.randrange(1, 512), rng.randrange(len(changed)), rng.randrange(len(changed))
        changed[to : to + size] = changed[at : at + size]
        return bytes(changed)
    for _ in range(rng.choice([1, 2, 5, 20])):
        changed[rng.randrange(rng.choice([96, 2048, len(changed)]))] = rng.randrange(256)
    return bytes(changed)


def mutations(folder, count):
    """The outcome for so many damaged files: 'read' or 'refused'; anything else is an error."""
    good = sources(folder)
    expected = sorted(path.name for path in folder.iterdir())

    def outcome(seed):
        path = folder / f"bad{seed}.nir"
        path.write_bytes(damaged(good[seed % len(good)], seed))
        begin = time.monotonic()
        told = ""
        try:
            from_nir(path, "torch", dt=0.1)
        except ExchangeError as error:
            told = str(error)
        assert time.monotonic() - begin < 2 * hdf5.SECONDS
        path.unlink()
        if told:
            assert str(path) in told
            assert len(told.splitlines()) == 1
            assert not [word for word in ("Traceback", "HDF5-DIAG", "synchronously") if word in told], told
        return "refused" if told else "read"

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(outcome, range(count)))
    assert sorted(path.name for path in folder.iterdir()) == expected
    return found


@pytest.mark.slow
def test_damaged_files_are_read_or_refused(tmp_path):
    found = mutations(tmp_path, FAST)
    assert 5 < found.count("refused") < FAST - 2


@pytest.mark.slow
def test_many_damaged_files_are_read_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "SECONDS", 20.0)
    found = mutations(tmp_path, SLOW)
    assert SLOW / 8 < found.count("refused") < SLOW - 10


@pytest.mark.slow
def test_a_decompression_bomb_takes_no_more_memory_than_twice_the_limit(tmp_path):
    """A chunk of 64 KiB whose stream inflates to one gigabyte."""
    pytest.importorskip("resource")
    squeezer = zlib.compressobj(1)
    stream = b"".join(squeezer.compress(bytes(2**24)) for _ in range(64)) + squeezer.flush()

    def bomb(node):
        del node["tau"]
        part = node.create_dataset("tau", (8192,), "f8", chunks=(8192,), compression="gzip")
        part.id.write_direct_chunk((0,), stream)

    path = edited(tmp_path, bomb)
    assert path.stat().st_size < 2**23
    with pytest.raises(ExchangeError, match="damaged"):
        from_nir(path, "torch", dt=1.0)
    process = subprocess.Popen([sys.executable, "-P", "-c", hdf5.PROGRAM, str(path)], stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode not in (0, hdf5.REFUSED)
    assert 1024 * used.ru_maxrss < 2 * hdf5.LIMIT + 2**27  # and the interpreter itself
