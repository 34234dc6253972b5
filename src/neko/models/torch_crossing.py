"""Products in a torch.nn.Module: the converters around them, and credit through another matrix."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from neko import tree
from neko.errors import GradientError
from neko.models.asymmetric import Asymmetric, with_credit
from neko.models.converters import Converters
from neko.typing import Array

CROSSED = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
"""Layers of one product, whose credit may pass back through another weight."""
PRODUCTS = (torch.nn.functional.linear, torch.conv1d, torch.conv2d, torch.conv3d)
EXACT = (torch.nn.Embedding, torch.nn.EmbeddingBag, torch.nn.LayerNorm, torch.nn.RMSNorm)
"""Layers that may have matrices, through which no credit passes, or element by element."""


@contextlib.contextmanager
def crossing(xp: Any, pairs: list[Asymmetric], converters: Converters | None) -> Iterator[None]:
    """A region in which products have converters, and credit passes back through the other matrix of each pair."""
    if not pairs and converters is None:
        yield
        return
    try:
        # A checkpoint runs its part a second time in the backward pass, outside of this region.
        with torch.autograd.graph.disable_saved_tensors_hooks(HOOKS), Crossing(xp, pairs) as region:
            with Converting(xp, converters) if converters is not None else contextlib.nullcontext():
                yield
            region.finish()
    except RuntimeError as error:
        if str(error) != HOOKS:
            raise
        raise GradientError(HOOKS) from error


HOOKS = (
    "a part of the module runs again in the backward pass (torch.utils.checkpoint), where credit would pass back by "
    "the weights as they are, and without converters: leave checkpoints out, or use BPTT without converters"
)


class Converting(TorchFunctionMode):
    """A region in which what enters and what leaves each product passes its converter."""

    def __init__(self, xp: Any, converters: Converters) -> None:
        super().__init__()
        self.xp = xp
        self.converters = converters

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in PRODUCTS:
            return func(*args, **(kwargs or {}))
        return self.product(func, *args, **(kwargs or {}))

    def product(self, func: Any, input: Array, *args: Any, **kwargs: Any) -> Array:
        y = func(self.converters.before(self.xp, input), *args, **kwargs)
        return self.converters.after(self.xp, y)


class Crossing(TorchFunctionMode):
    """A region in which credit passes back through the other matrix of each pair whose weight is in a product."""

    def __init__(self, xp: Any, pairs: list[Asymmetric]) -> None:
        super().__init__()
        self.xp = xp
        self.pairs = {id(pair.forward): pair for pair in pairs}
        self.met: set[int] = set()
        self.touched: dict[int, Any] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in PRODUCTS:
            return self.product(func, *args, **kwargs)
        found = func(*args, **kwargs)
        self.check(func, found, tree.leaves((args, kwargs)))
        return found

    def product(self, func: Any, input: Array, weight: Array, bias: Any = None, *args: Any, **kwargs: Any) -> Array:
        pair = self.pairs.get(id(weight))
        if pair is None:
            found = func(input, weight, bias, *args, **kwargs)
            self.check(func, found, [input, bias])
            return found
        if torch.is_grad_enabled():
            self.met.add(id(weight))
        pair.look(input)
        value = func(input.detach(), weight, bias, *args, **kwargs)
        if pair.backward is None or not input.requires_grad:
            return value
        return with_credit(self.xp, value, func(input, pair.backward, None, *args, **kwargs))

    def check(self, func: Any, found: Any, given: list[Any]) -> None:
        """GradientError where one of the weights has a derivative by another function than a product."""
        own = [id(a) for a in given if id(a) in self.pairs]
        tensors = [a for a in tree.leaves(found) if isinstance(a, torch.Tensor)] if own else []
        if any(a.requires_grad for a in tensors):
            raise used(func)
        if tensors:
            self.touched |= dict.fromkeys(own, func)

    def finish(self) -> None:
        """GradientError where a weight was in no product that is recorded: a function of the person's own may have a
        derivative that PyTorch does not see."""
        for weight, func in self.touched.items():
            if weight not in self.met and torch.is_grad_enabled():
                raise used(func)


def used(func: Any) -> GradientError:
    return GradientError(
        f"a weight of a Linear or Conv layer is used by {getattr(func, '__name__', func)}, where credit would pass "
        "back through it as it is: expected products only, or use BPTT"
    )
