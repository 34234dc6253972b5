"""What the table of rules says of the field's claims, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neko.experiments.results import Results
from neko.experiments.rule_table.cells import READOUT, SHUFFLED, Line
from neko.experiments.rule_table.contenders import EXACT

NEAR = 0.1
"""What BPTT must gain over its readout alone for a pair of task and neuron to tell rules apart."""
CHANCE = 0.25
"""Gain over guessing up to which a control of shuffled targets is at chance: the random weights of a network that has
learnt nothing answer alike to like inputs, so that a single one is right more or less often than by guessing."""
IMMEDIATE = "sltt:symmetric, RMSprop"


def told(lines: Sequence[Line], results: Results, trials: int) -> str:
    """All paragraphs."""
    groups: dict[tuple[str, str], dict[str, Line]] = {}
    for line in lines:
        if len(line.score):
            groups.setdefault(line.cell[:2], {})[line.cell.rule] = line
    parts = [eprop(groups), immediate(groups), alignment(groups), controls(groups), budget(results, trials)]
    return "\n\n".join(part for part in parts if part)


def cosine(line: Line | None) -> float:
    """The mean cosine; NaN for a rule that has none."""
    found = None if line is None else line.mean("cosine")
    return np.nan if found is None else found


def eprop(groups: dict[tuple[str, str], dict[str, Line]]) -> str:
    """The paper's claim."""
    modes = [f"eprop:{mode}" for mode in ("symmetric", "random", "adaptive")]
    found = [group for group in groups.values() if all(mode in group for mode in modes)]
    if not found:
        return ""
    closest = sum(int(np.argmax([cosine(group[mode]) for mode in modes]) == 0) for group in found)
    more = sum(int(cosine(group[modes[2]]) < cosine(group[modes[1]])) for group in found)
    all_rules = sum(
        int(all(cosine(group[modes[0]]) >= cosine(line) for name, line in group.items() if not name.startswith(EXACT)))
        for group in found
    )
    return (
        f"**Symmetric e-prop is closest to BPTT** (the paper): of the three modes of e-prop the symmetric one has the "
        f"largest mean cosine in {closest} of {len(found)} pairs of task and neuron, and of all rules but BPTT in "
        f"{all_rules}. Adaptive e-prop deviates more than random, by cosine, in {more} of {len(found)}."
    )


def immediate(groups: dict[tuple[str, str], dict[str, Line]]) -> str:
    """The claim of arXiv:2603.28750."""
    exact = f"{EXACT}, RMSprop"
    found = {pair: group for pair, group in groups.items() if exact in group and IMMEDIATE in group}
    if not found:
        return ""
    difference = {pair: group[IMMEDIATE].gain.mean() - group[exact].gain.mean() for pair, group in found.items()}
    worst = min(difference, key=lambda pair: difference[pair])
    low, high = min(difference.values()), max(difference.values())
    return (
        "**Immediate derivatives with RMSprop match RTRL** (arXiv:2603.28750): RTRL's gradient is BPTT's. The gain "
        f"over guessing of SLTT with RMSprop less that of BPTT with RMSprop is {np.mean([*difference.values()]):+.3f} "
        f"on average of {len(found)} pairs of task and neuron, between {low:+.3f} ({', '.join(worst)}) and {high:+.3f}."
    )


def alignment(groups: dict[tuple[str, str], dict[str, Line]]) -> str:
    """Whether a larger cosine goes with more learnt, within pairs of task and neuron."""
    found = []
    for group in groups.values():
        own = [line for line in group.values() if line.cell.by_adam and "cosine" in line.values]
        if len(own) >= 4:
            pairs = np.array([(cosine(line), line.gain.mean()) for line in own])
            ranks = pairs.argsort(axis=0).argsort(axis=0).astype(float)
            found.append(float(np.corrcoef(ranks[:, 0], ranks[:, 1])[0, 1]))
    if not found:
        return ""
    return (
        f"**Alignment and what is learnt**: the rank correlation, over rules, of the mean cosine and the gain over "
        f"guessing is {np.mean(found):.2f} on average of {len(found)} pairs of task and neuron, between "
        f"{min(found):.2f} and {max(found):.2f}."
    )


def controls(groups: dict[tuple[str, str], dict[str, Line]]) -> str:
    """What the controls say."""
    shuffled = {pair: group[SHUFFLED].gain.mean() for pair, group in groups.items() if SHUFFLED in group}
    frozen = {
        pair: group[EXACT].gain.mean() - group[READOUT].gain.mean()
        for pair, group in groups.items()
        if READOUT in group and EXACT in group
    }
    below = {
        ", ".join(pair): sum(line.cell.by_adam and loses(line, group[READOUT]) for line in group.values())
        for pair, group in groups.items()
        if READOUT in group
    }
    signals = {pair: found for pair, group in groups.items() if (found := extremes(group)) is not None}
    flagged = [line for group in groups.values() for line in group.values() if line.flags]
    parts = []
    if shuffled:
        above = [", ".join(pair) for pair, gain in shuffled.items() if gain > CHANCE]
        said = f"at most {CHANCE} but for {'; '.join(above)}" if above else f"nowhere above {CHANCE}"
        parts.append(f"with shuffled targets the gain over guessing is {np.mean([*shuffled.values()]):.2f} and {said}")
    if frozen:
        little = [", ".join(pair) for pair, gain in frozen.items() if gain < NEAR]
        where = f"but for {'; '.join(little)}, where the table says little of rules" if little else "everywhere"
        parts.append(f"BPTT gains at least {NEAR} over its readout alone {where}")
    said = "; ".join(f"{count} on {pair}" for pair, count in below.items() if count)
    if said:
        parts.append(f"rules that reach less than the readout alone: {said}")
    if signals:
        pair = max(signals, key=lambda pair: signals[pair][0])
        factor, least, most = signals[pair]
        parts.append(
            f"before training the root mean squares of learning signals differ by a factor of {factor:.1f} at most "
            f"({', '.join(pair)}: from {least} to {most}), which Adam makes up for"
        )
    parts.append(f"{len(flagged)} cells have networks that are silent, saturated, collapsed or diverged")
    return f"**Controls**: {'; '.join(parts)}."


def loses(line: Line, other: Line) -> bool:
    """Whether a rule reaches less than another, as means over seeds."""
    return bool(line.gain.mean() < other.gain.mean())


def extremes(group: dict[str, Line]) -> tuple[float, str, str] | None:
    """The largest root mean square of errors as learning signals by the smallest, and their rules; None without any."""
    own = [line for line in group.values() if "signal" in line.values and line.cell.by_error]
    if not own:
        return None
    sizes = [float(line.values["signal"].mean()) for line in own]
    least, most = np.argmin(sizes), np.argmax(sizes)
    return sizes[most] / sizes[least], own[least].cell.rule, own[most].cell.rule


def budget(results: Results, trials: int) -> str:
    """How long the whole table takes."""
    seconds = [measures["seconds"] for _, measures in results]
    return (
        f"**Time**: {len(seconds)} of the table's {trials} trials are shown. At their mean of {np.mean(seconds):.0f} s "
        f"the whole table takes {trials * np.mean(seconds) / 3600.0:.0f} hours in one process; longer tasks "
        "take longer."
    )
