"""The networks of docs/snn_libraries.md, each trained by three rules where its library is installed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import neko

PAGE = (Path(__file__).parents[2] / "docs" / "snn_libraries.md").read_text(encoding="utf-8")
LIBRARIES = {"snntorch": "snnTorch", "norse": "Norse", "spikingjelly": "SpikingJelly"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_network_learns_by_three_rules(library):
    pytest.importorskip(library)
    (before,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.S | re.M)
    section = PAGE.split(f"## {LIBRARIES[library]}\n")[1]
    block = re.findall(r"^```py\n(.*?)^```", section, flags=re.S | re.M)[0]
    assert library in block
    namespace: dict[str, object] = {}
    for code in (before, block):
        exec(compile(code, f"{library} of snn_libraries.md", "exec"), namespace)
    found = namespace["found"]
    print(library, found)
    assert list(found) == ["BPTT", "FeedbackAlignment", "DirectFeedbackAlignment"]
    for accuracy in found.values():  # by chance 0.1
        assert accuracy > 0.6


def test_a_membrane_in_a_buffer_begins_every_pass_as_it_was():
    """As in snnTorch: a buffer that is not persistent and takes the size of the batch, beside one that is; and a method
    of the neuron as its own attribute."""
    torch = pytest.importorskip("torch")

    class Neuron(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 2)
            self.register_buffer("membrane", torch.zeros(0), persistent=False)
            self.register_buffer("passes", torch.zeros(()))
            self.leak = self.decay

        def decay(self):
            return 0.9

        def forward(self, x):
            self.passes += 1.0
            starts.append(tuple(self.membrane.shape))
            self.membrane = self.membrane.new_zeros(len(x), 2)
            for now in x.unbind(1):
                self.membrane = self.leak() * self.membrane + self.linear(now)
            return self.membrane

    starts: list[tuple[int, ...]] = []
    module = Neuron()
    model = neko.Evaluator(module, "mean_squared_error")
    x, y = np.ones((6, 4, 3), np.float32), np.ones((6, 2), np.float32)
    before = model.evaluate(x, y)["loss"]
    neko.Trainer(neko.BPTT(model, learning_rate=1e-2)).train(x, y, epochs=3, batch_size=4, progress=False)
    assert model.evaluate(x, y)["loss"] < before
    assert set(starts) == {(0,)}
    assert module.membrane.shape == (0,)
    assert float(module.passes) == 6.0
    assert list(model.model.buffers) == ["passes"]
    assert "decay" in str(model.identity())
