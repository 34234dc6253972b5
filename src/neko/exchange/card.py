"""The card of a saved model, for people: Markdown with the fields that model hubs read."""

from __future__ import annotations

import json
from typing import Any

from neko.models import Model


def card(model: Model, config: dict[str, Any], name: str) -> str:
    """The text of a card."""
    training, evaluator = config["training"], config["evaluator"]
    measures = training["measures"] or {}
    # Texts of JSON are texts of YAML.
    head = ["library_name: neko", "tags: [spiking-neural-network, neuromorphic]"]
    head += [f"license: {json.dumps(training['licence'])}"] if training["licence"] else []
    weights = sum(int(w.size) for w in map(model.xp.to_numpy, model.params.values()))
    rows = {
        "network": ", ".join(map(repr, model.network.cells)),
        "readout": repr(model.network.readout),
        "inputs, outputs": f"{model.n_in}, {model.outputs}",
        "weights": f"{weights:,} in {config['dtype']}",
        "loss": evaluator and evaluator["loss"],
        "encoder": evaluator and evaluator["encoder"] and evaluator["encoder"]["name"],
        "learning rule": training["rule"],
        "data": training["data"],
        **{key: f"{value:.4g}" for key, value in measures.items()},
        "licence": training["licence"] or "not stated",
        "written by": f"neko {config['neko_version']}",
    }
    table = [f"| {key} | {cell(value)} |" for key, value in rows.items() if value]
    use = "prediction = model.predict(x)  # (examples, time, inputs)" if evaluator else "outputs = model.predict(x)"
    return "\n".join(
        [
            *("---", *head, "---", f"# {cell(name)}", ""),
            *("A network of [neko](https://arxiv.org/abs/2105.00324).", "", "| | |", "| --- | --- |", *table, ""),
            *("```python", "import neko", ""),
            *(f"model = neko.load_pretrained({name!r})  # this folder; or with backend='jax'", use, "```", ""),
        ]
    )


def cell(text: Any) -> str:
    """A text within one cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("`", "'")
