"""Pattern generation: a sum of four sines from frozen Poisson input."""

from __future__ import annotations

import numpy as np

from neko.datasets.dataset import Dataset
from neko.datasets.draws import probability, spikes, whole
from neko.datasets.entry import DATASETS, OWN

CYCLES = (1, 2, 3, 5)
"""Cycles per sequence of the four sines: periods of 1000, 500, 333 and 200 steps in 1000."""


@DATASETS.register("pattern", about="draw a sum of four sines from frozen Poisson input", licence=OWN)
def load(
    *,
    examples: int = 1,
    steps: int = 1000,
    inputs: int = 100,
    outputs: int = 1,
    rate: float = 0.05,
    cycles: tuple[int, ...] = CYCLES,
    seed: int = 0,
) -> Dataset:
    r"""Frozen input spikes, and curves that a readout learns to draw; a regression.

    .. math::
        \tilde y_t = \sum_i a_i \sin(\varphi_i + 2\pi c_i \tfrac{t}{T-1}), \qquad
        y_t = \frac{\tilde y_t - \tilde y_0}{\max_s |\tilde y_s - \tilde y_0|}

    with :math:`a_i \sim U(0.5, 2)` and :math:`\varphi_i \sim U(0, 2\pi)`; it begins at 0 and its largest
    magnitude is 1.

    Parameters
    ----------
    examples
        Pairs of input and curves, each drawn anew.
    steps
        T, of 1 ms in the paper.
    inputs, rate
        Independent Poisson inputs, and the probability of a spike per step (0.05 is 50 Hz at 1 ms).
    outputs
        Curves to draw at the same time.
    cycles
        c_i, whole cycles per sequence.
    seed
        Of input and curves.

    Returns
    -------
    Dataset
        ``x`` (examples, steps, inputs), ``y`` (examples, steps, outputs). The input is frozen and the task is to
        reproduce, not to generalise: the test examples are the training examples.

    Raises
    ------
    ValueError
        For a size below 1, a rate outside [0, 1], or a sine of which a cycle has less than two steps.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, Fig. 2 and Supplementary Note 4; the constants are those of
    NEST's version of it.
    """
    whole(1, examples=examples, inputs=inputs, outputs=outputs)
    whole(3, steps=steps)
    whole(0, seed=seed)
    probability(rate=rate)
    if not cycles or min(cycles) < 1 or 2 * max(cycles) >= steps:
        raise ValueError(f"cycles={cycles!r}: expected whole numbers from 1 to less than steps / 2 = {steps / 2}")
    rng = np.random.default_rng(seed)
    x = spikes(rng, np.full((examples, steps, inputs), rate))
    a = rng.uniform(0.5, 2.0, (examples, 1, outputs, len(cycles)))
    phase = rng.uniform(0.0, 2.0 * np.pi, a.shape)
    angle = 2.0 * np.pi * np.linspace(0.0, 1.0, steps)[:, None, None] * np.array(cycles)
    y = (a * np.sin(phase + angle)).sum(axis=-1)
    y -= y[:, :1]
    y = (y / np.abs(y).max(axis=1, keepdims=True)).astype(np.float32)
    return Dataset(x, y, x, y, outputs, task_type="regression")
