"""Store-recall: keep the bit shown with the store command until the recall command."""

from __future__ import annotations

import numpy as np

from neko.datasets.dataset import Dataset
from neko.datasets.draws import probability, spikes, streams, whole
from neko.datasets.entry import DATASETS, OWN

NOTHING, STORE, RECALL = 0, 1, 2


@DATASETS.register("store-recall", about="store a bit on command and recall it on command", licence=OWN)
def load(
    *,
    train: int = 128,
    test: int = 64,
    slots: int = 12,
    slot: int = 200,
    group: int = 10,
    rate: float = 0.05,
    p_store: float = 0.2,
    p_recall: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """A stream of bits in slots; a working memory of one bit must be written and read on command.

    Four groups of Poisson inputs: bit 0, bit 1, store, recall. In each slot one of the bit groups is active, except
    in recall slots. While nothing is stored a slot carries the store command with probability
    `p_store`; while something is, the recall command with probability `p_recall`. Sequences without a recall are
    drawn again. The class in a recall slot is the bit of the last store slot.

    Parameters
    ----------
    train, test
        Examples, from independent streams.
    slots, slot
        Slots per sequence, and steps per slot, of 1 ms in the paper.
    group
        Inputs per group.
    rate
        Probability of a spike per step of an active input (0.05 is 50 Hz at 1 ms).
    p_store, p_recall
        Probabilities of the commands, above 0.
    seed
        Seed of all random draws.

    Returns
    -------
    Dataset
        ``x`` (examples, slots · slot, 4 · group), ``y`` (examples, slots · slot) of classes 0 and 1, and masks that
        are 1 in recall slots. Masked frames do not count in metrics and firing rates either: a
        regularised rate is that of the recall slots.

    Raises
    ------
    ValueError
        For a size out of range or a probability outside [0, 1].

    References
    ----------
    Bellec et al. (2018), arXiv:1803.09574, Section 4 and Fig. 3; the commands' probabilities are those of its code.
    """
    whole(1, train=train, test=test, slot=slot, group=group)
    whole(2, slots=slots)
    probability(rate=rate, p_store=p_store, p_recall=p_recall)
    if not p_store or not p_recall:
        raise ValueError(f"p_store={p_store!r}, p_recall={p_recall!r}: expected both above 0, or nothing is recalled")

    def part(rng: np.random.Generator, examples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        bits = rng.integers(2, size=(examples, slots))
        orders = np.stack([commands(rng, slots, p_store, p_recall) for _ in range(examples)])
        active = np.stack(
            [(bits == 0) & (orders != RECALL), (bits == 1) & (orders != RECALL), orders == STORE, orders == RECALL],
            axis=-1,
        )
        p = np.repeat(np.repeat(np.float32(rate) * active, slot, axis=1), group, axis=2)
        y = np.where(orders == RECALL, remembered(bits, orders), 0)
        mask = (orders == RECALL).astype(np.float32)
        return spikes(rng, p), np.repeat(y, slot, axis=1), np.repeat(mask, slot, axis=1)

    (x, y, mask), (x_test, y_test, mask_test) = map(part, streams(seed), (train, test))
    return Dataset(x, y, x_test, y_test, 2, mask, mask_test)


def commands(rng: np.random.Generator, slots: int, p_store: float, p_recall: float) -> np.ndarray:
    """Alternating store and recall commands with at least one recall, (slots,)."""
    while True:
        orders, following = np.full(slots, NOTHING), STORE
        for k, draw in enumerate(rng.random(slots)):
            if draw < (p_store if following == STORE else p_recall):
                orders[k], following = following, STORE + RECALL - following
        if (orders == RECALL).any():
            return orders


def remembered(bits: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """The bit of the last store slot at each slot, (examples, slots)."""
    places = np.where(orders == STORE, np.arange(bits.shape[1]), 0)
    return np.take_along_axis(bits, np.maximum.accumulate(places, axis=1), axis=1)
