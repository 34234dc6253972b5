"""Files that are damaged at random, of every kind that is read, and a watch over what reading them does.

``python tests/hostile.py KIND COUNT`` reads so many in this process and tells the outcomes and its memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

SECONDS = 20
"""Of one file."""
EXTREMES = (
    "0",
    "-1",
    "1e999",
    "-1e400",
    "NaN",
    "Infinity",
    "9" * 30,
    "1e308",
    "4294967296",
    "0.0000000001",
    "9" * 5000,
)
BINARY = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**62, 2**63, 2**64 - 1)
TEXTS = (b"\0", b"\xff\xfe", b"\xc3\x28", b"null", b"[]", b"{}", b'"', b"[" * 400, b"!!python/object/apply:os.abort []")
FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
CHANGING = ("os.remove", "os.rename", "os.truncate", "os.mkdir", "os.symlink", "os.link", "os.chmod")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def flips(data, rng):
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        data[rng.randrange(rng.choice([min(64, len(data)), len(data)]))] ^= 1 << rng.randrange(8)


def cut(data, rng):
    del data[rng.randrange(len(data)) :]


def insertion(data, rng):
    at = rng.randrange(len(data))
    data[at:at] = rng.choice([rng.randbytes(rng.randrange(1, 40)), rng.choice(TEXTS)])


def swap(data, rng):
    size = rng.randrange(1, max(2, len(data) // 3))
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def repeat(data, rng):
    at, size = rng.randrange(len(data)), rng.randrange(1, 80)
    data[at:at] = data[at : at + size] * rng.choice([1, 3, 100])


def number(data, rng):
    """A number as text becomes an extreme one."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?(e[-+]?\d+)?", bytes(data)))
    if found:
        start, end = rng.choice(found).span()
        data[start:end] = rng.choice(EXTREMES).encode()


def word(data, rng):
    """Two, four or eight bytes become an extreme number."""
    size, at = rng.choice([2, 4, 8]), rng.randrange(rng.choice([min(64, len(data)), len(data)]))
    data[at : at + size] = (rng.choice(BINARY) % 2 ** (8 * size)).to_bytes(size, rng.choice(["little", "big"]))


MUTATIONS = (flips, cut, insertion, swap, repeat, number, word)


def mutated(data, seed):
    """A file that was changed in one way, or in three, of `MUTATIONS`."""
    rng, changed = random.Random(seed), bytearray(data)
    for change in rng.choices(MUTATIONS, k=rng.choice([1, 1, 3])):
        if changed:
            change(changed, rng)
    return bytes(changed)


def values(content, rng):
    """A plain value in which one part is another value, or is missing, or is there twice under another name."""
    content = json.loads(json.dumps(content))
    places = [(part, key) for part in walk(content) for key in (part if isinstance(part, dict) else range(len(part)))]
    part, key = rng.choice(places)
    if rng.random() < 0.2:
        del part[key]
    elif isinstance(part, dict) and rng.random() < 0.2:
        part[rng.choice(["", "other", "\0", "é" * 50])] = part[key]
    else:
        part[key] = rng.choice([None, True, -1, 0, 10**12, 10**30, float("inf"), float("nan"), "", "x", [], {}, [[1]]])
    return content


def walk(value):
    """Every list and mapping in a value that is not empty."""
    if isinstance(value, dict | list) and value:
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from walk(part)


class Watch:
    """Notes where a process of Python writes outside a folder, or runs something, while it is on."""

    def __init__(self):
        self.folder, self.seen = None, []
        sys.addaudithook(self.hook)

    def hook(self, event, arguments):
        if self.folder is None:
            return
        if event in FORBIDDEN:
            self.seen.append((event, repr(arguments)[:200]))
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if (writes or event in CHANGING) and isinstance(arguments[0], str | bytes):
            path = os.fsdecode(arguments[0])
            # what is written to no file is not written
            if not Path(path).resolve().is_relative_to(self.folder) and path not in ("/dev/null", "/dev/tty"):
                self.seen.append((event, path))

    @contextlib.contextmanager
    def on(self, folder, allowed=()):
        self.folder, self.seen = Path(folder).resolve(), []
        try:
            yield
        finally:
            self.folder = None
            assert not [event for event in self.seen if event[0] not in allowed], self.seen


WATCH = Watch()


@contextlib.contextmanager
def in_time(what):
    """AssertionError after `SECONDS`."""

    def late(*_):
        raise AssertionError(f"{what} took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(kind, folder, seed):
    """'read' or 'refused' for one damaged file of a kind; AssertionError or another error for anything else."""
    path = kind.damage(folder, seed)
    before = contents(folder)
    told = None
    with warnings.catch_warnings(), in_time(f"{kind.name} {seed}"):
        warnings.simplefilter("ignore")
        try:
            with WATCH.on(folder, kind.allowed):
                kind.check(kind.read(path))
        except kind.errors as error:
            told = str(error)
    assert contents(folder) == before, f"{kind.name} {seed}: files were changed"
    if told is None:
        return "read"
    assert kind.told(path) in told, f"{kind.name} {seed}: the file is not named: {told[:300]!r}"
    assert len(told) < 20_000 + 3 * path.stat().st_size, f"{kind.name} {seed}: {len(told)} characters"
    return "refused"


def contents(folder):
    """Every file below a folder with its content, locks aside."""
    return {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file() and p.suffix != ".lock"}


def outcomes(kind, folder, count, first=0):
    """How many of so many damaged files were read and refused."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    kind.prepare(folder)
    return Counter(outcome(kind, folder, seed) for seed in range(first, first + count))


def main(name, count):
    """Outcomes, and by how many MiB the memory of this process grew while it read."""
    import resource

    from hostile_kinds import KINDS

    kind = KINDS[name]
    with tempfile.TemporaryDirectory() as folder:
        outcomes(kind, Path(folder) / "first", 3)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = outcomes(kind, Path(folder) / "all", int(count))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({**found, "MiB": grown // 1024}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    import hostile

    hostile.main(*sys.argv[1:])
