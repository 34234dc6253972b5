"""Sources of batches: arrays, a DataLoader, a tf.data.Dataset, any iterable."""

from __future__ import annotations

import copy
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from neko import arguments, containers, identity
from neko.data.intake import Examples, Intake
from neko.data.lengths import Lengths
from neko.data.raw import Raw, as_batch, as_raw
from neko.distributed import World
from neko.errors import CheckpointError
from neko.io import generators


class Source(ABC):
    """The batches of every epoch, checked and converted by an `Intake`.

    Attributes
    ----------
    length : int or None
        Number of batches in an epoch, if known.
    world : World
        The processes that divide each batch.
    """

    length: int | None
    world: World = World()

    @abstractmethod
    def epoch(self, index: int) -> Iterator[Examples]:
        """The batches of an epoch, counted from 0."""

    @abstractmethod
    def first(self) -> Iterator[Examples]:
        """The batches of epoch 0 again, for a learner that is resumed from a checkpoint."""

    @abstractmethod
    def rest(self, index: int, skip: int) -> Iterator[Examples]:
        """The batches of an epoch after the first `skip` ones, for a resumed epoch."""

    def reordered(self, number: int) -> Iterator[Examples] | None:
        """The batches of the epoch that was begun last, in the order of the seed plus a number; None where the order
        does not follow from a seed."""
        return None

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """The data by value, as far as known without a pass over them."""

    @abstractmethod
    def mark(self) -> Any:
        """State of the random generators with which batches may be drawn; None without generators."""

    @abstractmethod
    def reset(self, mark: Any) -> None:
        """Restore the state of the generators."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """The state that determines the order of batches."""

    @abstractmethod
    def restore(self, saved: dict[str, Any]) -> None:
        """Load what `state` returned. For an iterable, `first` raises CheckpointError for another first batch."""


class Arrays(Source):
    """Batches of arrays, in a new order at each epoch that is determined by `seed`."""

    def __init__(
        self, x: Any, y: Any, mask: Any, intake: Intake, batch_size: int, shuffle: bool, seed: int, chunks: bool
    ) -> None:
        if not isinstance(shuffle, bool):
            raise TypeError(f"shuffle={shuffle!r}: expected True or False")
        self.intake = intake
        self.arrays = as_raw(x, y, mask, intake)
        named = zip(("x", "y", "mask"), self.arrays, strict=True)
        lengths = [containers.count(name, a) for name, a in named if a is not None]
        if len(set(lengths)) != 1 or not lengths[0]:
            raise ValueError(f"x, y (and mask) have {lengths!r} examples: expected the same number, at least 1")
        self.examples = lengths[0]
        self.batch_size = arguments.check_integer("batch_size", batch_size)
        self.shuffle = shuffle
        self.seed = arguments.check_integer("seed", seed, least=0)
        self.length = -(-self.examples // self.batch_size)
        self._rng = np.random.default_rng(self.seed)
        self._drawn = 0
        self._index = 0
        # Checked as a whole, so that an error names the index within the arrays.
        intake.evaluator.prepare(self.arrays[0], batch_size=self.batch_size)
        intake.check(*intake.receive(*self.arrays), chunks=chunks)

    def order(self, index: int) -> np.ndarray:
        """The order of an epoch: the permutation number `index` of the seed's generator."""
        if index < self._drawn:
            self._rng, self._drawn = np.random.default_rng(self.seed), 0
        for _ in range(index - self._drawn):
            self._rng.permutation(self.examples)
        self._drawn = index + 1
        return self._rng.permutation(self.examples)

    def mark(self) -> None:
        return None

    def reset(self, mark: None) -> None:
        pass

    def epoch(self, index: int) -> Iterator[Examples]:
        return self.rest(index, 0)

    def first(self) -> Iterator[Examples]:
        return self.rest(0, 0)

    def rest(self, index: int, skip: int) -> Iterator[Examples]:
        self._index = index
        order = self.order(index) if self.shuffle else None
        for begin in range(skip * self.batch_size, self.examples, self.batch_size):
            rows = slice(begin, min(begin + self.batch_size, self.examples))
            part = self.world.part(rows.stop - begin)
            own = rows if part is None else slice(begin + part.begin, begin + part.end)
            chosen, whole = (a if order is None else order[a] for a in (own, rows))
            found = self.intake.prepare(*containers.rows(self.arrays, chosen), checked=True)
            if part is not None:
                found = found._replace(given=containers.rows(self.arrays[2:], whole)[0], part=part)
            yield self.world.place(found)

    def reordered(self, number: int) -> Iterator[Examples] | None:
        if not self.shuffle:
            return None
        other = copy.copy(self)
        other.seed, other._rng, other._drawn = self.seed + number, np.random.default_rng(self.seed + number), 0
        return other.epoch(self._index)

    def identity(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("examples", "batch_size", "shuffle", "seed")}
        x, y, mask = (identity.describe(a) for a in self.arrays)
        return {"kind": "arrays", **own, "x": x, "y": y, "mask": mask}

    def state(self) -> dict[str, Any]:
        return {"kind": "arrays"}

    def restore(self, saved: dict[str, Any]) -> None:
        pass


class Batches(Source):
    """An iterable of (x, y) or (x, y, mask), iterated once per epoch.

    The states of the global random generators, and of a loader's own, are stored at the beginning of an epoch, so that
    its batches can be drawn again. A `tf.data.Dataset` counts its passes itself: a new one is opened as often.
    """

    def __init__(self, data: Iterable[Any], intake: Intake, lengths: Lengths | None, chunks: bool) -> None:
        if not isinstance(data, Iterable):
            raise TypeError(f"x={data!r} without y: expected an iterable of (x, y) or (x, y, mask), or x and y")
        self.data = data
        self.intake = intake
        self.chunks = chunks
        self.lengths = lengths
        try:
            self.length = len(data)  # type: ignore[arg-type]
        except TypeError:
            self.length = None
        self.generator = getattr(data, "generator", None)
        self._passes = 0
        self._first: dict[str, Any] = {}
        self._start: dict[str, Any] = {}
        self._seen: Any = None

    def mark(self) -> Any:
        return generators.state(self.generator)

    def reset(self, mark: Any) -> None:
        generators.restore(mark, self.generator)

    def epoch(self, index: int) -> Iterator[Examples]:
        self._start = self.mark()
        if index:
            return self.prepared(self.batches(self.opened(index), 0))
        self._first = self._start
        return self.prepared(self.noted(self.batches(self.opened(0), 0)))

    def first(self) -> Iterator[Examples]:
        self.reset(self._first)
        return self.prepared(self.noted(self.batches(self.opened(0), 0)))

    def prepared(self, batches: Iterator[Raw]) -> Iterator[Examples]:
        """Each batch checked and converted."""
        for batch in batches:
            found = self.intake.prepare(*batch, chunks=self.chunks)
            yield self.world.place(found.of(self.world.part(found.size)))

    def noted(self, batches: Iterator[Raw]) -> Iterator[Raw]:
        """Batches of epoch 0, whose first one identifies the data; CheckpointError if it is not the restored one."""
        for number, batch in enumerate(batches):
            if number == 0:
                found = identity.describe(list(batch))
                if self._seen is not None and found != self._seen:
                    raise CheckpointError(
                        f"data.first={identity.shown(self._seen)} was the first batch; drawn again it is "
                        f"{identity.shown(found)}; give the same data, or a loader whose batches depend on the global "
                        "generators or its own only"
                    )
                self._seen = found
            yield batch

    def rest(self, index: int, skip: int) -> Iterator[Examples]:
        now = self.mark()
        self.reset(self._start)
        batches = self.opened(index)
        for _ in itertools.islice(batches, skip):
            pass
        self.reset(now)
        return self.prepared(self.batches(batches, skip))

    def opened(self, index: int) -> Iterator[Any]:
        """An iterator for pass number `index`."""
        check_passes("x", self.data, index + 1)
        if type(self.data).__module__.startswith("tensorflow"):
            while self._passes < index:
                iter(self.data)
                self._passes += 1
            self._passes += 1
        return iter(self.data)

    def batches(self, batches: Iterator[Any], count: int) -> Iterator[Raw]:
        """Each batch as (x, y, mask); ValueError if there is no batch."""
        for batch in batches:
            found = as_batch(batch, count, self.intake)
            yield found if self.lengths is None else self.lengths.pad(*found)
            count += 1
        if not count:
            raise ValueError(f"{type(self.data).__name__} gave no batch: expected one or more (x, y) or (x, y, mask)")

    def identity(self) -> dict[str, Any]:
        return {"kind": "batches", "length": self.length}

    def state(self) -> dict[str, Any]:
        steps = None if self.lengths is None else self.lengths.first
        return {"kind": "batches", "steps": steps, "first": self._first, "start": self._start, "seen": self._seen}

    def restore(self, saved: dict[str, Any]) -> None:
        if saved["kind"] == "batches":
            self._first, self._start, self._seen = saved["first"], saved["start"], saved["seen"]
            if self.lengths is not None:
                self.lengths.first = saved["steps"]
        else:  # of arrays that were replaced on purpose
            self._first = self._start = self.mark()


def source(
    intake: Intake,
    x: Any,
    y: Any = None,
    mask: Any = None,
    *,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    lengths: Lengths | None = None,
    chunks: bool = False,
) -> Source:
    """Batches of arrays `x`, `y`, `mask`, or, without `y`, of an iterable `x`, prepared by an `Intake`; `lengths` pads
    the batches of an iterable, and with `chunks` of a stream a sequence may have no valid frame."""
    if y is None:
        if mask is not None:
            raise ValueError("mask without y: expected x, y and mask, or an iterable of (x, y, mask)")
        if hasattr(x, "shape") or isinstance(x, str | bytes | dict):
            raise TypeError(f"x is {type(x).__name__} without y: expected x and y, or an iterable of (x, y[, mask])")
        return Batches(x, intake, lengths, chunks)
    return Arrays(x, y, mask, intake, batch_size, shuffle, seed, chunks)


def check_passes(name: str, data: Any, count: int) -> None:
    """ValueError for an iterator that would be iterated more than once."""
    if count > 1 and isinstance(data, Iterator):
        raise ValueError(
            f"{name}: a {type(data).__name__} is used up after one pass: expected epochs=1, or what can be "
            "iterated again (a list, a DataLoader, an object with __iter__)"
        )
