"""Optimizers of PyTorch: torch.optim."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LRScheduler

from neko.backend.update import Update, choose
from neko.errors import CheckpointError
from neko.io import snapshot


def eager(name: str) -> Any:
    """An optimizer of torch.optim without the hooks of torch.compile, whose import takes seconds at the first step."""
    optimizer = getattr(torch.optim, name)
    hooked = ("add_param_group", "load_state_dict", "state_dict", "step")
    methods = {method: inspect.unwrap(getattr(optimizer, method)) for method in hooked}
    return type(name, (optimizer,), {"__module__": __name__, "__doc__": optimizer.__doc__, **methods})


SGD, Adam, AdamW, Adamax, RMSprop, Adagrad = map(eager, ("SGD", "Adam", "AdamW", "Adamax", "RMSprop", "Adagrad"))
NAMED = {
    "sgd": SGD,
    "momentum": functools.partial(SGD, momentum=0.9),
    "nesterov": functools.partial(SGD, momentum=0.9, nesterov=True),
    "adam": functools.partial(Adam, betas=(0.9, 0.999), eps=1e-8),
    "adamw": functools.partial(AdamW, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2),
    "adamax": functools.partial(Adamax, betas=(0.9, 0.999), eps=1e-8),
    "rmsprop": functools.partial(RMSprop, alpha=0.99, eps=1e-8),
    "adagrad": functools.partial(Adagrad, initial_accumulator_value=0.1, eps=0.0),
}
EXAMPLE = "for example functools.partial(torch.optim.SGD, lr=0.1)"


@dataclass(frozen=True, eq=False)
class TorchUpdate(Update):
    """A torch optimizer as an update; it works in place on tensors of its own.

    Parameters go in and come out as copies, so no array of the caller ever changes. A step changes the state in place:
    use the returned one. `injected`: the rate of each step replaces the optimizer's own.
    """

    create: Any
    injected: bool

    in_place = True

    def init(self, params: dict[str, Any]) -> Any:
        """Leaf tensors by name, the optimizer of them, and its scheduler or None."""
        own = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
        made = self.create(list(own.values()))
        optimizer, scheduler = (made.optimizer, made) if isinstance(made, LRScheduler) else (made, None)
        if not isinstance(optimizer, torch.optim.Optimizer) or isinstance(optimizer, torch.optim.LBFGS):
            raise TypeError(
                f"optimizer={self.create!r} made {made!r}: expected a torch.optim.Optimizer that needs no closure, "
                f"or an LRScheduler of one; {EXAMPLE}"
            )
        return own, optimizer, scheduler

    def step(self, params: dict[str, Any], gradients: dict[str, Any], state: Any, rate: Any) -> Any:
        """One step of the optimizer and, if there is one, of its scheduler."""
        own, optimizer, scheduler = state
        with torch.no_grad():
            for name, p in own.items():
                p.copy_(params[name])
                # A copy: some optimizers write into the gradient.
                p.grad = gradients[name].detach().clone()
        if self.injected:
            for group in optimizer.param_groups:
                group["lr"] = float(rate)
        with torch.no_grad():
            optimizer.step()
        if scheduler is not None:
            scheduler.step()
        return {name: p.detach().clone() for name, p in own.items()}, state

    def kept(self, state: Any) -> Any:
        """Copies of what the step overwrites: the optimizer's memory, its options, and its scheduler's state."""
        own, optimizer, scheduler = state
        remembered = [copied(optimizer.state.get(p, {})) for p in own.values()]
        if scheduler is None:
            return remembered, None, None
        groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        return remembered, groups, copy.deepcopy(scheduler.state_dict())

    def chosen(self, xp: Any, good: Any, new: Any, kept: Any) -> Any:
        own, optimizer, scheduler = new
        remembered, groups, schedule = kept
        pairs = [(p, optimizer.state.get(p, {}), before) for p, before in zip(own.values(), remembered, strict=True)]
        if scheduler is None and all(on_device(now, before) for _, now, before in pairs):
            for _, now, before in pairs:
                for name, value in now.items():
                    if value.device == good.device:
                        value.copy_(choose(xp, good, value, before[name]))
        # The first step makes the memory, and a scheduler counts on the host: only there can these be undone.
        elif not bool(good):
            for p, _, before in pairs:
                optimizer.state[p] = before
                if not before:
                    del optimizer.state[p]
            if scheduler is not None:
                scheduler.load_state_dict(schedule)
                for group, then in zip(optimizer.param_groups, groups, strict=True):
                    group.update(then)
        return new

    def rewind(self, state: Any, steps: int) -> None:
        own, optimizer, _ = state
        for p in own.values():
            for value in optimizer.state.get(p, {}).values():
                # A count of steps stays on the host: see `chosen`.
                if isinstance(value, torch.Tensor) and value.device != p.device:
                    value -= steps

    def exported(self, xp: Any, state: Any) -> dict[str, Any]:
        """What the optimizer and its scheduler remember, as NumPy arrays and numbers."""
        _, optimizer, scheduler = state
        found = optimizer.state_dict()
        remembered = [found["state"].get(i, {}) for i in range(len(state[0]))]
        groups = [{k: v for k, v in g.items() if k != "params"} for g in found["param_groups"]]
        return {
            "memory": plain(remembered),
            "groups": plain(groups),
            "scheduler": None if scheduler is None else plain(scheduler.state_dict()),
        }

    def loaded(self, xp: Any, template: Any, saved: dict[str, Any]) -> Any:
        """A state with the memory that `exported` gave."""
        own, optimizer, scheduler = template
        sizes, wanted = [len(saved[k]) for k in ("memory", "groups")], [len(own), len(optimizer.param_groups)]
        if sizes != wanted:
            raise CheckpointError(f"update has {sizes!r} parameters and groups: expected {wanted!r}")
        remembered = {i: tensors(entry) for i, entry in enumerate(saved["memory"]) if entry}
        for entry, w in zip(saved["memory"], own.values(), strict=True):
            shapes = {k: a.shape for k, a in entry.items() if isinstance(a, np.ndarray)}
            if any(shape not in ((), tuple(w.shape)) for shape in shapes.values()):
                raise CheckpointError(f"update has arrays of shapes {shapes!r}: expected {tuple(w.shape)!r}")
        current = optimizer.state_dict()["param_groups"]
        for now, then in zip(current, saved["groups"], strict=True):
            check_options("the optimizer", plain(now), then, same=(bool, str))
        if self.injected and remembered:
            self.check_memory(own, saved["memory"])
        groups = [{**now, **with_tuples(now, then)} for now, then in zip(current, saved["groups"], strict=True)]
        optimizer.load_state_dict({"state": remembered, "param_groups": groups})
        if scheduler is not None:
            check_options("the scheduler", plain(scheduler.state_dict()), saved["scheduler"])
            scheduler.load_state_dict(saved["scheduler"])
        return template

    def check_memory(self, own: dict[str, Any], memory: list[dict[str, Any]]) -> None:
        """CheckpointError unless the memory is of the form that it has after a step."""
        other = self.init(own)
        self.step(own, {name: torch.zeros_like(w) for name, w in own.items()}, other, 0.0)
        for now, then in zip(self.exported(None, other)["memory"], memory, strict=True):
            found, wanted = ({k: snapshot.like(v) for k, v in entry.items()} for entry in (then, now))
            if found != wanted:
                raise CheckpointError(f"update remembers {found!r}: expected {wanted!r}")


def check_options(what: str, now: dict[str, Any], then: Any, *, same: type | tuple[type, ...] = ()) -> None:
    """CheckpointError unless the saved options have present names and kinds, and present values of the kinds `same`."""
    if not isinstance(then, dict) or not then.keys() <= now.keys():
        raise CheckpointError(f"{what} has the options {then!r}: expected some of {sorted(now)!r}")
    for name, value in then.items():
        if not alike(now[name], value) or (isinstance(now[name], same) and value != now[name]):
            raise CheckpointError(f"{what} has {name}={value!r}: expected as {now[name]!r}")


def alike(now: Any, then: Any) -> bool:
    """Whether a saved option is of the kind of the present one; where that is None, it may be a number."""
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(alike, now, then))
    if isinstance(then, int | float) and (now is None or isinstance(now, int | float)):
        return abs(then) < 2**63 and isinstance(then, bool) == isinstance(now, bool)
    return then is None or snapshot.like(then) == snapshot.like(now)


def copied(memory: dict[str, Any]) -> dict[str, Any]:
    """What an optimizer remembers of a parameter, with copies of the tensors."""
    return {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in memory.items()}


def on_device(now: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether all that is remembered of a parameter are tensors that were there before."""
    return now.keys() == before.keys() and all(isinstance(v, torch.Tensor) for v in now.values())


def plain(value: Any) -> Any:
    """Tensors as NumPy arrays in dicts and lists."""
    if isinstance(value, torch.Tensor):
        return np.array(value.detach().cpu().numpy())
    if isinstance(value, dict):
        # Omitted: how a scheduler was made (milestones by step, functions), in contrast to its present state.
        made = {k for k, v in value.items() if callable(v) or (isinstance(v, dict) and not all_strings(v))}
        return {k: plain(v) for k, v in value.items() if k not in made}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def all_strings(mapping: dict[Any, Any]) -> bool:
    """Whether every key is a string."""
    return all(isinstance(key, str) for key in mapping)


def tensors(entry: dict[str, Any]) -> dict[str, Any]:
    """NumPy arrays as tensors."""
    return {k: torch.from_numpy(np.array(a)) if isinstance(a, np.ndarray) else a for k, a in entry.items()}


def with_tuples(now: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """Options of a group with lists as tuples where the optimizer has tuples."""
    return {k: tuple(v) if isinstance(now.get(k), tuple) else v for k, v in then.items()}


def resolve(xp: Any, spec: Any) -> Any:
    """An update from a name, from what makes an optimizer (or a scheduler of one) out of parameters, or from an
    optimizer of Keras where Keras runs on PyTorch."""
    if isinstance(spec, str):
        if spec not in NAMED:
            raise ValueError(f"optimizer={spec!r}: expected one of {sorted([*NAMED, 'naive'])} or a torch.optim class")
        return TorchUpdate(functools.partial(NAMED[spec], lr=1e-3), True)
    if "keras" in sys.modules:
        from neko.backend import _keras_optimizers

        if _keras_optimizers.is_one(spec):
            return _keras_optimizers.resolve("torch", spec)
    if isinstance(spec, torch.optim.Optimizer | LRScheduler):
        raise TypeError(
            f"optimizer={spec!r} is bound to other parameters: pass what makes it from parameters instead, {EXAMPLE}"
        )
    if not callable(spec):
        raise TypeError(f"optimizer={spec!r}: expected a name, or what makes an optimizer from parameters, {EXAMPLE}")
    return TorchUpdate(spec, False)
