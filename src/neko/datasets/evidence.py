"""Evidence accumulation: decide which side had more cues."""

from __future__ import annotations

import numpy as np

from neko.datasets.dataset import Dataset
from neko.datasets.draws import probability, spikes, streams, whole
from neko.datasets.entry import DATASETS, OWN


@DATASETS.register("evidence", about="decide which side had more cues, after a delay", licence=OWN)
def load(
    *,
    train: int = 128,
    test: int = 64,
    cues: int = 7,
    cue: int = 100,
    pause: int = 50,
    delay: int = 1050,
    recall: int = 150,
    group: int = 10,
    rate: float = 0.04,
    noise: float = 0.01,
    bias: float = 0.7,
    masked: bool = True,
    seed: int = 0,
) -> Dataset:
    """A rodent runs along a corridor with cues left and right and must turn to the side that had more of them.

    Four groups of Poisson inputs: cues on the left, cues on the right, the recall signal, and background noise.
    Each cue comes after a pause; after the last one there are `delay` steps of background, then the recall.
    First a side is drawn, then each cue is on it with probability `bias`; the class is the majority of the cues that
    came, 0 left and 1 right, which need not be the side drawn.

    Parameters
    ----------
    train, test
        Examples, from independent streams.
    cues
        Odd, so that there is a majority.
    cue, pause, delay, recall
        Durations in steps, of 1 ms in the papers.
    group
        Inputs per group.
    rate, noise
        Probability of a spike per step of an active and of a background input (0.04 is 40 Hz at 1 ms).
    bias
        Probability that a cue is on the side drawn.
    masked
        Evaluate the loss in the recall period only: ``mask`` is 1 there. Masked frames do not count in metrics and
        firing rates either, so a regularised rate is that of the recall period. Without a mask the class holds at
        every step.
    seed
        Seed of all random draws.

    Returns
    -------
    Dataset
        ``x`` (examples, cues · (pause + cue) + delay + recall, 4 · group), ``y`` (examples,), which holds at
        every valid step.

    Raises
    ------
    ValueError
        For a size out of range, an even number of cues, or a probability outside [0, 1].

    References
    ----------
    Morcos & Harvey (2016), doi:10.1038/nn.4403; Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, Fig. 3.
    """
    whole(1, train=train, test=test, cues=cues, cue=cue, recall=recall, group=group)
    whole(0, pause=pause, delay=delay)
    probability(rate=rate, noise=noise, bias=bias)
    if cues % 2 == 0:
        raise ValueError(f"cues={cues!r}: expected an odd number, so that one side has more")

    def part(rng: np.random.Generator, examples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        side = rng.integers(2, size=(examples, 1))
        sides = np.where(rng.random((examples, cues)) < bias, side, 1 - side)
        # (examples, cues, pause + cue, groups): when a group of inputs is active
        shown = np.zeros((examples, cues, pause + cue, 2), dtype=np.float32)
        shown[:, :, pause:] = rate * np.eye(2, dtype=np.float32)[sides][:, :, None]
        steps = cues * (pause + cue) + delay + recall
        p = np.zeros((examples, steps, 4), dtype=np.float32)
        p[:, : cues * (pause + cue), :2] = shown.reshape(examples, -1, 2)
        p[:, steps - recall :, 2] = rate
        p[:, :, 3] = noise
        mask = np.zeros((examples, steps), dtype=np.float32)
        mask[:, steps - recall :] = 1.0
        return spikes(rng, np.repeat(p, group, axis=2)), (2 * sides.sum(axis=1) > cues).astype(np.int64), mask

    (x, y, mask), (x_test, y_test, mask_test) = map(part, streams(seed), (train, test))
    return Dataset(x, y, x_test, y_test, 2, mask if masked else None, mask_test if masked else None)
