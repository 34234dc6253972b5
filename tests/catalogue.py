"""The table of rules, updates, devices, samplers, cells and encoders in the README, rendered from the registries.

``python tests/catalogue.py`` writes it into the README; ``tests/test_docs.py`` checks that it is there.
"""

from __future__ import annotations

from pathlib import Path

from neko.backend import OPTIMIZERS
from neko.bayes import METHODS
from neko.cells import CELLS
from neko.devices import DEVICES, IMPERFECTIONS, PRESETS, STORAGES
from neko.encoders import ENCODERS
from neko.rules import RULES
from neko.updates import UPDATES

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- catalogue: python tests/catalogue.py -->\n", "<!-- end of the catalogue -->\n"
REGISTRIES = {
    "rule": RULES,
    "update": UPDATES,
    "device": DEVICES,
    "preset": PRESETS,
    "imperfection": IMPERFECTIONS,
    "storage": STORAGES,
    "method": METHODS,
    "cell": CELLS,
    "encoder": ENCODERS,
}


def render() -> str:
    """One row per entry: its kind, its name (of a rule with its modes), and the first line of its docstring."""
    rows = []
    for kind, registry in REGISTRIES.items():
        for name in registry:
            modes = registry.about(name).get("modes", ())
            names = ", ".join(f"`{each}`" for each in ([f"{name}:{mode}" for mode in modes] or [name]))
            rows.append((kind, names, registry.summary(name).replace("``", "`").replace("|", "\\|")))
        if kind == "update":
            names = ", ".join(f"`{name}`" for name in OPTIMIZERS)
            rows.append((kind, names, "The optimizers of PyTorch, Optax and Keras, by name or as objects."))
    lines = [f"| {' | '.join(row)} |" for row in [("kind", "name", "what it is"), ("---",) * 3, *rows]]
    return "\n".join([*lines, ""])


def rendered(page: str) -> str:
    """The page with the table as the registries have it."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"README.md: expected the lines {BEGIN!r} and {END!r} around the table")
    return f"{before}{BEGIN}\n{render()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
