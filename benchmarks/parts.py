"""The parts of the page of speed: what was found in a section, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.figures import Rows, median, number, percent, rate, ratio, table
from benchmarks.peers import PEERS
from benchmarks.sampling_part import sampling
from benchmarks.sweeps_part import sweeps

OTHER_RATIOS = [
    ("torch Manhattan", "torch e-prop", "1.5"),
    ("torch Manhattan, noise and spread", "torch e-prop", "3"),
    ("torch Langevin", "torch gradient", "1.3"),
]
PRODUCTS = ("e-prop", "BPTT")
PEERS_SHOWN = [name for name, contender in CONTENDERS.items() if contender.peer is not None]
RATIOS: list[tuple[str, str, str]] = [
    ("torch e-prop", "torch e-prop, no kernels", "0.35, 0.25, 0.15"),
    ("torch e-prop", "torch products of e-prop", "3.2, 1.7, 1.4"),
    ("torch e-prop", "torch products of BPTT", ""),
    ("torch e-prop", "torch by hand", ""),
    ("torch e-prop", "torch BPTT", ""),
    ("torch e-prop", "jax e-prop", ""),
    *(("torch e-prop", peer, "1.2, 0.65, 0.35" if peer == "Spyx" else "0.6") for peer in PEERS_SHOWN),
    ("torch BPTT", "torch BPTT, no kernels", ""),
    ("torch BPTT", "torch products of BPTT", ""),
    ("torch BPTT", "torch by hand", "0.6"),
    *(("torch BPTT", peer, "") for peer in PEERS_SHOWN),
    ("torch chunk=64", "torch e-prop", "1.5"),
    *(("jax e-prop", f"jax {way}", "") for way in ("products of e-prop", "by hand", "BPTT")),
    *(("jax e-prop", peer, "") for peer in PEERS_SHOWN),
    ("jax chunk=64", "jax e-prop", ""),
    *(("tensorflow e-prop", f"tensorflow {way}", "") for way in ("products of e-prop", "by hand", "BPTT")),
    ("tensorflow chunk=64", "tensorflow e-prop", ""),
]
"""Which times are divided, and the most that is aimed at, for all shapes or each."""


def shape(of: list[int]) -> str:
    return f"({', '.join(f'{size:,}' for size in of)})"


def cases_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    return found["cases"]["alif"]


def rounds_of(found: dict[str, Any]) -> str:
    lost = "".join(f" {name} failed: {reason}." for name, reason in found["failed"].items())
    return f"Rounds: {found['rounds']}, of {found['seconds']:g} s or more a contender and case.{lost}"


def over(cases: list[dict[str, Any]], cell: Callable[[int], str]) -> list[str]:
    """A cell for every case."""
    return [cell(i) for i in range(len(cases))]


def speed(found: dict[str, Any]) -> Iterator[str]:
    rows, cases = found["rows"], cases_of(found)

    def cell(name: str, i: int) -> str:
        cpu, wall = (number(median(rows, name, i, clock)) for clock in ("cpu", "wall"))
        return f"{cpu} ({wall}; {percent(rate(rows, name, i))})"

    stated = percent(cases[0]["rate"])
    yield "## A training step"
    yield f"At {stated} firing, ms of CPU time (of wall time; measured firing rate). {rounds_of(found)}"
    shapes = over(cases, lambda i: shape(cases[i]["shape"]))
    yield table(
        ["(batch, T, in, hidden, out)", *shapes],
        ([name, *over(cases, lambda i, name=name: cell(name, i))] for name in rows),
    )
    yield "### Ratios\n\nCPU time of the first by that of the second; the most that is aimed at."
    yield table(
        ["", *shapes, "aim"],
        compared(rows, cases, RATIOS),
    )
    yield "### The other libraries\n\nEach in an environment of its own (`python -m benchmarks.peers`)."
    yield table(
        ["library", "version", "what is trained", "what differs"],
        ([name, version_of(peer), peer.neuron, peer.differs] for name, peer in PEERS.items()),
        side="---",
    )
    for name, reason in found["missing"].items():
        yield f"{name} was not installed: {reason}."


def version_of(peer: Any) -> str:
    (pinned,) = (need for need in (*peer.needs, *peer.alone) if need.startswith(f"{peer.name}=="))
    return pinned.partition("==")[2]


def rates(found: dict[str, Any]) -> Iterator[str]:
    rows, cases = found["rows"], cases_of(found)
    yield f"## Firing rates\n\nMs of CPU time (measured rate) on PyTorch. {rounds_of(found)}"
    for size in dict.fromkeys(map(str, (case["shape"] for case in cases))):
        span = [i for i, case in enumerate(cases) if str(case["shape"]) == size]
        pairs = [(rule, f"torch products of {of}") for rule in ("torch e-prop", "torch BPTT") for of in PRODUCTS]
        yield table(
            [shape(cases[span[0]]["shape"]), *(percent(cases[i]["rate"]) for i in span)],
            [
                *(
                    [name, *(f"{number(median(rows, name, i))} ({percent(rate(rows, name, i))})" for i in span)]
                    for name in rows
                ),
                *([f"{a} / {b}", *(number(ratio(rows, a, b, i)) for i in span)] for a, b in pairs),
            ],
        )


def updates(found: dict[str, Any]) -> Iterator[str]:
    rows, cases = found["rows"], cases_of(found)
    yield "## Devices and samplers"
    yield (
        f"Ms of CPU time at {percent(cases[0]['rate'])} firing: a step of e-prop with Adam, its gradient alone, with a "
        "pulse to the two devices of every weight instead of Adam, and a transition of a Langevin chain that follows "
        f"this gradient. {rounds_of(found)}"
    )
    yield table(
        ["(batch, T, in, hidden, out)", *over(cases, lambda i: shape(cases[i]["shape"])), "aim"],
        [
            *([name, *over(cases, lambda i, name=name: number(median(rows, name, i))), ""] for name in rows),
            *compared(rows, cases, OTHER_RATIOS),
        ],
    )


def compared(rows: Rows, cases: list[dict[str, Any]], pairs: list[tuple[str, str, str]]) -> Iterator[list[str]]:
    """A line of a table for each pair that was measured."""
    for a, b, aim in pairs:
        if a in rows and b in rows:
            yield [f"{a} / {b}", *over(cases, lambda i, a=a, b=b: number(ratio(rows, a, b, i))), aim]


def growth(found: dict[str, Any], axis: int, title: str, held: str) -> Iterator[str]:
    rows, cases = found["rows"], cases_of(found)
    yield f"## {title}\n\nMs of CPU time at {percent(cases[0]['rate'])} firing, {held}. {rounds_of(found)}"
    chunks = [(name, name.replace("chunk=64", "e-prop")) for name in rows if "chunk=64" in name]
    yield table(
        ["", *over(cases, lambda i: f"{cases[i]['shape'][axis]:,}")],
        [
            *([name, *over(cases, lambda i, name=name: number(median(rows, name, i)))] for name in rows),
            *([f"{a} / {b}", *over(cases, lambda i, a=a, b=b: number(ratio(rows, a, b, i)))] for a, b in chunks),
        ],
    )


def length(found: dict[str, Any]) -> Iterator[str]:
    return growth(found, 1, "Growth with time", "T at batch 8 and 200 neurons")


def width(found: dict[str, Any]) -> Iterator[str]:
    return growth(found, 3, "Growth with neurons", "n at batch 8 and 300 steps")


def memory(found: list[dict[str, Any]]) -> Iterator[str]:
    yield (
        "## Peak memory\n\nMiB above a process that has built the network for one time step and done nothing "
        "(peak, and that of this process), after two steps; each in a process of its own."
    )
    shapes = list(dict.fromkeys(tuple(row["shape"]) for row in found))
    names = dict.fromkeys(row["contender"] for row in found)
    at = {(row["contender"], tuple(row["shape"])): row for row in found}
    yield table(
        ["T, n", *(f"{size[1]:,}, {size[3]:,}" for size in shapes)],
        (
            [
                name,
                *(
                    f"{number(row['peak'] - row['idle'])} ({row['peak']:,.0f}, {row['idle']:,.0f})"
                    for row in (at[name, size] for size in shapes)
                ),
            ]
            for name in names
        ),
    )


def first(found: dict[str, list[dict[str, float]]]) -> Iterator[str]:
    yield "## The first step"
    yield "Seconds from the start of a process to the end of its first step, at the second shape; the median of rounds."
    clocks = ("cpu", "wall")
    seconds = {way: [statistics.median(row[clock] for row in rows) for clock in clocks] for way, rows in found.items()}
    by_hand = {way: seconds[f"{way.split()[0]} by hand"] for way in seconds}
    yield table(
        ["", "CPU", "wall", "more CPU than by hand"],
        ([way, f"{cpu:.2f}", f"{wall:.2f}", f"{cpu - by_hand[way][0]:.2f}"] for way, (cpu, wall) in seconds.items()),
    )


def threads(found: dict[str, Any]) -> Iterator[str]:
    one, two = found["1"], found["2"]
    cases = cases_of(one)
    yield "## Two threads"
    yield f"Ms of wall time (CPU time) with one thread on one core and with two on two. {rounds_of(one)}"

    def cells(name: str, i: int) -> list[str]:
        parts = one["rows"], two["rows"]
        return [f"{number(median(rows, name, i, 'wall'))} ({number(median(rows, name, i))})" for rows in parts]

    yield table(
        ["", *(f"{shape(case['shape'])}, {count}" for case in cases for count in ("one", "two"))],
        ([name, *(cell for i in range(len(cases)) for cell in cells(name, i))] for name in one["rows"]),
    )


def rules(found: dict[str, Any]) -> Iterator[str]:
    rows = found["rows"]
    yield "## Learning rules"
    yield (
        f"A training step of {shape(found['shape'])} (batch, T, in, hidden, out) by every rule in its default mode, "
        f"{percent(rate(rows, 'bptt', 0))} firing, on PyTorch: ms of CPU time, that by BPTT's, and peak memory in MiB "
        f"above a process that has built the network and used the kernels once. Rounds: {found['rounds']}."
    )
    yield table(
        ["rule", "ms", "/ BPTT", "MiB"],
        (
            [
                f"[`{name}`](rules.md#{name})",
                number(median(rows, name, 0)),
                number(ratio(rows, name, "bptt", 0)),
                number(median(rows, name, 0, "peak") - found["idle"]),
            ]
            for name in rows
        ),
    )
    for name, reason in found["failed"].items():
        yield f"`{name}` refuses this network: {reason}."


def comparison(found: list[dict[str, Any]]) -> Iterator[str]:
    names = [name for name in found[0] if name not in ("backend", "shape", "ratio", "rate")]
    yield "## A comparison of rules"
    yield (
        "Six rules at one state (`neko.GradientComparison`), ms of CPU time: each gradient alone; all together, in one "
        "program in which those of one family share a forward pass, and the reference's gradient for permuted targets; "
        "the statistics. The ratio is that of the last two to the sum of the rules alone; at most 1.3 is aimed at."
    )
    yield table(
        ["", *(f"{row['backend']}, {shape(row['shape'])}" for row in found)],
        [
            *(
                [name if name in ("together", "statistics") else f"`{name}`", *(number(row[name]) for row in found)]
                for name in names
            ),
            ["ratio", *(f"{row['ratio']:.2f}" for row in found)],
        ],
    )


def encoders(found: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Encoders\n\n10,000 signals of 187 samples; a pass copies the array and compares it with a number."
    yield table(
        ["code", "ms of CPU time", "passes over the array"],
        ([f"`{row['code']}`", number(1e3 * row["seconds"]), number(row["passes"])] for row in found),
    )


def feeding(found: dict[str, Any]) -> Iterator[str]:
    yield "## Feeding"
    yield "An epoch of MNIST (ALIF-128, e-prop, batches of 128); what a checkpoint at its end or a DataLoader costs."
    yield table(
        ["backend", "s an epoch, arrays", "a checkpoint, % of an epoch", "DataLoader / arrays"],
        (
            [name, number(row["epoch"]), f"{row['checkpoint %']:.2f}", number(row["loader"])]
            for name, row in found.items()
        ),
    )


def imports(found: dict[str, float]) -> Iterator[str]:
    yield (
        f"## Import\n\n`import numpy` takes {found['numpy']:.3f} s, with `import neko` {found['with neko']:.3f} s, "
        f"a median difference of {found['difference']:.3f} s."
    )


PARTS: dict[str, Callable[[Any], Iterator[str]]] = {
    "speed": speed,
    "rates": rates,
    "updates": updates,
    "sampling": sampling,
    "length": length,
    "width": width,
    "memory": memory,
    "first": first,
    "threads": threads,
    "rules": rules,
    "comparison": comparison,
    "encoders": encoders,
    "feeding": feeding,
    "sweeps": sweeps,
    "imports": imports,
}
