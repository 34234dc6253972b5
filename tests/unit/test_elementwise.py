"""Element-wise functions in one pass over memory: the numbers of the framework's operations, or these themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from neko import backend as backends
from neko import updates
from neko.backend import generated
from neko.devices import DEVICES, ConstantStep, SoftBounds
from neko.updates import Manhattan

elementwise = pytest.importorskip("neko.kernels.elementwise")
SPREAD = {"dg_min_std": 0.3, "dg_min_dtod": 0.4, "g_max_dtod": 0.2, "up_down": 0.1}


def steps(xp, rule, count=4):
    """Weights and state after some steps, between which the weights decay."""
    rng = np.random.default_rng(0)
    update = updates.resolve(xp, rule).update
    params = {"b": xp.zeros((5,)), "w": xp.asarray(rng.standard_normal((17, 5)))}
    state = update.init(params)
    for _ in range(count):
        gradients = {name: xp.asarray(rng.standard_normal(tuple(p.shape))) for name, p in params.items()}
        params, state = update.step({n: 0.999 * p for n, p in params.items()}, gradients, state, xp.scalar(0.0))
    return update, params, state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, SPREAD], ids=["ideal", "spread"])
@pytest.mark.parametrize("name", DEVICES)
def test_pulses_through_every_device_have_the_same_bits(name, options, dtype):
    xp = backends.get("torch", dtype=dtype)
    rule = Manhattan(device=DEVICES[name](**options), seed=3, dead_zone=0.1)
    elementwise.PLANS.clear()
    update, params, state = steps(xp, rule)
    assert None not in elementwise.PLANS.values()
    assert len(elementwise.PLANS) == len(params)
    elementwise.PLANS.clear()
    with generated.plain():
        _, plain, expected = steps(xp, rule)
    assert not elementwise.PLANS
    if name == "exponential":  # a kernel's exp is another polynomial, equal to rounding
        assert all(torch.allclose(params[n], plain[n], rtol=64 * torch.finfo(plain[n].dtype).eps) for n in params)
    else:
        assert all(torch.equal(params[n], plain[n]) for n in params)
        np.testing.assert_equal(update.exported(xp, state), update.exported(xp, expected))
    assert update.report(state)["pulses"] > 0.5


@dataclass(frozen=True)
class Line:
    slope: float


class Shifted(Line):
    """A constant that is no field of the data class."""

    shift = 0.0


def line(xp, own, key, pair):
    x, scale = pair
    return own.slope * x * scale + getattr(own, "shift", 0.0), x


def test_numbers_follow_the_constants_and_arrays_that_stay_are_returned():
    xp = backends.get("torch")
    x, scale = xp.arange(6), xp.full((), 2.0)
    for slope in (3.0, 5.0):
        for _ in range(2):
            y, same = xp.elementwise(line, Line(slope), None, (x, scale))
            assert y.tolist() == [2.0 * slope * i for i in range(6)]
            assert same is x
    changed = Shifted(1.0)
    for shift in (0.0, 1.0, 4.0):
        object.__setattr__(changed, "shift", shift)
        assert [xp.elementwise(line, changed, None, (x, scale))[0][0].item() for _ in range(3)] == [shift] * 3


def of_types(xp, own, key, x):
    return x + 1.0 if isinstance(x, torch.Tensor) else x - 1.0


def centred(xp, own, key, x):
    return x - xp.mean(x, axis=0)


def asked(xp, own, key, x):
    return x * 2.0 if x[0] > 0.0 else x


@pytest.mark.parametrize("f", [of_types, centred, asked])
def test_what_cannot_be_one_pass_is_the_function_itself(f):
    xp = backends.get("torch")
    for x in ([1.0, 2.0, 6.0], [-1.0, 3.0, 4.0]):
        given = xp.asarray(np.array(x))
        for _ in range(2):
            found = xp.elementwise(f, Line(1.0), None, given)
            assert torch.equal(found, f(xp, Line(1.0), None, given))
    assert elementwise.PLANS[next(case for case in elementwise.PLANS if case[0] is f)] is None


def noisy(xp, own, key, x):
    keys = xp.unstack(xp.random.split(key, 3))
    shape = tuple(x.shape)
    return x + xp.random.normal(keys[2], shape), own.slope * xp.random.uniform(keys[0], shape)


def test_random_numbers_are_those_of_the_key():
    xp = backends.get("torch")
    x = xp.ones((4, 3))
    first, *others = [xp.elementwise(noisy, Line(2.0), xp.random.key(k), x) for k in (1, 1, 2)]
    assert all(map(torch.equal, first, others[0]))
    assert not torch.equal(first[0], others[1][0])
    expected = noisy(xp, Line(2.0), xp.random.key(2), x)
    assert all(map(torch.equal, others[1], expected))


def test_arrays_of_several_shapes_or_with_gradients_are_left_to_the_framework():
    xp = backends.get("torch")
    wide = xp.elementwise(lambda xp, own, key, a, b: a + b, Line(1.0), None, xp.ones((2, 3)), xp.ones((3,)))
    assert wide.shape == (2, 3)
    x = torch.ones(3, requires_grad=True)
    for _ in range(2):
        assert xp.elementwise(line, Line(2.0), None, (x, xp.full((), 1.0)))[0].requires_grad


def test_constants_that_may_change_are_never_remembered():
    xp = backends.get("torch")
    own = Line([1.0])
    f = lambda xp, own, key, x: own.slope[0] * x  # noqa: E731
    for slope in (1.0, 3.0):
        own.slope[0] = slope
        assert xp.elementwise(f, own, None, xp.ones((2,))).tolist() == [slope] * 2


def test_devices_of_one_kind_with_other_constants_move_otherwise():
    xp = backends.get("torch")
    found = [steps(xp, Manhattan(device=d, w_max=4.0))[1]["w"] for d in (ConstantStep(), SoftBounds(dg_min=3e-5))]
    assert not torch.equal(*found)
