"""The table of rules to read: for every neuron, its rules by the tasks."""

from __future__ import annotations

from collections.abc import Sequence

from neko.experiments.results import Column, Table
from neko.experiments.rule_table.cells import LOWEST, Line, gain, mean
from neko.experiments.rule_table.tasks import TASKS

LEGEND = (
    "By neuron, the accuracy or the error of every rule on each task; in brackets the mean cosine to the exact "
    f"gradient, and flags. The gain over guessing, at least {LOWEST}, and the costs are means over the tasks."
)


def shown(lines: Sequence[Line]) -> str:
    """All neurons in Markdown, with the reasons of empty cells."""
    parts = [LEGEND]
    for neuron in dict.fromkeys(line.cell.neuron for line in lines if line.cell.neuron) or [""]:
        own = [line for line in lines if line.cell.neuron == neuron]
        without = [line for line in lines if not line.cell.neuron and line.cell.task in {one.cell.task for one in own}]
        reasons: dict[str, list[str]] = {}
        for line in own:
            if line.cell.refused is not None and line.cell.rule not in reasons.setdefault(line.cell.refused, []):
                reasons[line.cell.refused].append(line.cell.rule)
        listed = "\n".join(f"- {', '.join(rules)}: {reason}." for reason, rules in reasons.items())
        parts += [f"### {neuron or 'No network'}", by_task([*without, *own]).markdown(), listed]
    return "\n\n".join(part for part in parts if part)


def by_task(lines: Sequence[Line]) -> Table:
    """The lines of one neuron, a row for each rule and a column for each task."""
    there = {(line.cell.rule, line.cell.task): line for line in lines if line.values}
    rules, tasks = (list(dict.fromkeys(names)) for names in zip(*there, strict=True))
    columns = []
    for task in tasks:
        heading = task if TASKS[task].classes else f"{task}, error"
        columns.append(Column(heading, [told(there.get((rule, task))) for rule in rules]))
    groups = [[there[rule, task] for task in tasks if (rule, task) in there] for rule in rules]
    scored = [[line for line in group if len(line.score)] for group in groups]
    columns += [
        Column("mean gain", [gain(group) if len(group) == len(tasks) else None for group in scored], ".2f"),
        Column("ms a step", [mean(group, "milliseconds") for group in groups], ".1f"),
        Column("MiB", [mean(group, "MiB") for group in groups], ".1f"),
    ]
    return Table("rule", rules, columns)


def told(line: Line | None) -> str | None:
    """Score, cosine and flags in one cell; None for a rule that is not there."""
    if line is None:
        return None
    score, cosine = line.interval(line.judged), line.mean("cosine")
    parts = ["" if score is None else f"{score:.3f}", "" if cosine is None else f"({cosine:.2f})", line.flags]
    return " ".join(part for part in parts if part)
