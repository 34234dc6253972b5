"""The catalogue of rules, ``docs/rules.md``, rendered from the docstrings of the registry and from what was measured.

``python tests/rules_page.py`` writes it; ``tests/test_docs.py`` checks that both agree.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # for the benchmarks

from benchmarks.__main__ import load  # noqa: E402
from benchmarks.figures import median, number, percent, rate, ratio, table  # noqa: E402

from neko.rules import RULES  # noqa: E402
from neko.verification import ORACLES  # noqa: E402

PAGE = ROOT / "docs" / "rules.md"
PARAGRAPHS = ("Locality", "Cost", "Limits")
INTRODUCTION = """\
# The rules

Rendered by `python tests/rules_page.py` from the docstrings of the registry, and checked by the tests. How to write
another one is in [a rule of your own](own_rule.md).

Symbols: $h_t$ is the state of a layer, $z_t$ its emission, $I_t$ its currents; $J_t = ∂h_t/∂h_{t-1}$ through all paths,
$A_t$ through the neuron itself, $b_t = ∂h_t/∂I_t$; $pre_t$ is what arrives at a synapse, $M_t = ∂h_t/∂W$; $L_t$ is a
learning signal for each neuron, $q_t$ the derivative of the loss by the present state, and B are backward weights. A
layer has n neurons with n_pre inputs and recurrent weights.
"""
ORACLES_ARE = """\
## Oracles

What each rule is held against in `tests/laws/test_rules.py`, to 1e-9 in double precision on every backend; each must
reject the rule with one gradient changed by 1 %.
"""


class Entry(NamedTuple):
    """A rule's docstring: its first line, its formula (LaTeX), paragraphs of the notes by name, and its references."""

    summary: str
    formula: str
    notes: dict[str, str]
    references: str


def entry(rule: Any) -> Entry:
    """The parts of a rule's docstring; ValueError that says which is missing."""
    doc = inspect.cleandoc(rule.__doc__ or "")
    head, *rest = re.split(r"\n\n(\w[\w ]*)\n-+\n", f"{doc}\n")
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    formula = re.search(r"\.\. math::\n\n?(.*?)(?:\n\n(?! )|\Z)", head, flags=re.S)
    found = dict(re.findall(r"\*\*(\w+)\.\*\* (.*?)(?=\n\n|\Z)", sections.get("Notes", "").strip(), flags=re.S))
    missing = [name for name in PARAGRAPHS if not found.get(name)]
    missing += [] if formula else ["a formula (.. math::)"]
    missing += [] if sections.get("References", "").strip() else ["References"]
    if missing:
        raise ValueError(f"{rule.__name__}: the docstring lacks {', '.join(missing)}")
    notes = {name: flat(text) for name, text in found.items()}
    return Entry(doc.partition("\n")[0], flat(formula[1]), notes, flat(sections["References"]))


def flat(text: str) -> str:
    """One line, with Markdown's marks of code and mathematics."""
    text = re.sub(r":math:`([^`]*)`", r"$\1$", " ".join(text.split()))
    return text.replace("``", "`").replace("`neko.rules.", "`")


def first(text: str) -> str:
    """The first sentence."""
    return re.split(r"(?<=[^A-Z\s]\.) (?=[A-Z])", text)[0]


def clause(formula: str) -> str:
    """The first equation of a formula, for a cell of a table."""
    text = re.split(r",?\s*\\q?quad", formula)[0].strip().rstrip(",")
    return f"${text.replace('|', chr(92) + 'vert ')}$"


def linked(reference: str) -> str:
    """The first source of the references, as a link where it has an identifier."""
    source = reference.split(";")[0]
    name = source[: source.find(")") + 1]
    found = re.search(r"doi:(\S+)|arXiv[: ](\S+)|(github\.com/\S+)", source)
    if not found:
        return name
    doi, arxiv, address = (part and part.rstrip(".,") for part in found.groups())
    place = address or (f"doi.org/{doi}" if doi else f"arxiv.org/abs/{arxiv}")
    return f"[{name}](https://{place})"


def measured(name: str, found: dict[str, Any]) -> tuple[str, str]:
    """CPU time of a step by that of BPTT, and peak memory in MiB; dashes where the network is refused."""
    rows = found.get("rows", {})
    peak = median(rows, name, 0, "peak")
    return number(ratio(rows, name, "bptt", 0)), number(None if peak is None else peak - found["idle"])


def page() -> str:
    """The whole page."""
    kept = load().get("rules", {})
    entries = {name: entry(RULES[name]) for name in RULES}
    rows = []
    for name, e in entries.items():
        notes = [first(e.notes[key]) for key in PARAGRAPHS]
        cells = clause(e.formula), *notes[:2], *measured(name, kept.get("found", {})), notes[2], linked(e.references)
        rows.append([f"[`{name}`](#{name})", *cells, f"[{RULES.about(name)['oracle']}](#oracles)"])
    header = ["rule", "formula", "locality", "time and memory", "time / BPTT", "MiB", "what it can not do", "source"]
    parts = [INTRODUCTION.rstrip(), table([*header, "oracle"], rows, side="---"), remark(kept)]
    for name, e in entries.items():
        parts += section(name, e)
    held = ([name, flat(ORACLES.summary(name))] for name in ORACLES)
    return "\n\n".join([*parts, ORACLES_ARE.rstrip(), table(["oracle", "what it is"], held, side="---")]) + "\n"


def remark(kept: dict[str, Any]) -> str:
    """How the numbers of the table came about."""
    if not kept:
        return "Time and memory are measured by `python -m benchmarks rules`."
    found, machine = kept["found"], kept["machine"]
    batch, steps, n_in, n, outputs = found["shape"]
    refused = "".join(f" `{name}` refuses this network: {reason}." for name, reason in found["failed"].items())
    return (
        f"Measured: a training step with Adam by every rule in its default mode, of a whole sequence of {steps} steps, "
        f"batch {batch}, ALIF-{n} with {n_in} inputs and {outputs} outputs, {percent(rate(found['rows'], 'bptt', 0))} "
        f"firing, on PyTorch and one thread. CPU time by that of BPTT ({number(median(found['rows'], 'bptt', 0))} ms), "
        f"median of {found['rounds']} rounds; peak memory of the process above one that has built the network and used "
        f"the kernels once.{refused} `{kept['command']}`, {machine['date']}, {machine['cores']} cores of "
        f"{machine['cpu']}."
    )


def section(name: str, e: Entry) -> list[str]:
    """The section of a rule."""
    about = RULES.about(name)
    modes = about.get("modes", ())
    named = f"`{RULES[name].__name__}`" + (f", as {', '.join(f'`{name}:{mode}`' for mode in modes)}" if modes else "")
    notes = [f"*{key}.* {e.notes[key]}" for key in PARAGRAPHS]
    held = f"*Held by* the oracle [{about['oracle']}](#oracles). *Source:* {e.references}"
    return [f"## {name}", f"{named}. {e.summary}", f"```math\n{e.formula}\n```", *notes, held]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
