"""PyTorch's steps leave the garbage collector and the arithmetic of the process as they were."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import torch

from neko import backend as backends
from neko.backend._torch_eager import eager


def settings():
    """Whether the collector runs, and whether denormal numbers are numbers, to PyTorch and to NumPy."""
    return gc.isenabled(), (torch.tensor(1e-42) * 1.5).item() > 0.0, bool(np.float32(1e-42) * np.float32(1.5) > 0.0)


USUAL, WITHIN = (True, True, True), (False, False, False)


@pytest.fixture(autouse=True)
def _left_alone():
    assert settings() == USUAL
    yield
    gc.enable()
    torch.set_flush_denormal(False)


def test_a_step_runs_without_the_collector_and_denormal_numbers():
    assert eager(settings)() == WITHIN
    assert settings() == USUAL


def test_steps_within_steps_end_with_the_outermost():
    def outer():
        return eager(settings)(), settings()

    assert eager(outer)() == (WITHIN, WITHIN)
    assert settings() == USUAL


def test_an_error_leaves_the_settings_of_before():
    with pytest.raises(ZeroDivisionError):
        eager(lambda: 1 / 0)()
    assert settings() == USUAL


def test_what_the_user_has_chosen_stays():
    gc.disable()
    torch.set_flush_denormal(True)
    assert eager(settings)() == WITHIN
    assert settings() == WITHIN


def test_the_last_of_many_threads_turns_the_collector_on():
    entered, leave, seen = threading.Barrier(2), threading.Event(), []

    def long():
        entered.wait(10.0)
        leave.wait(10.0)
        return settings()

    thread = threading.Thread(target=lambda: seen.append(eager(long)()))
    thread.start()
    entered.wait(10.0)  # the other thread is within its step
    assert eager(settings)() == WITHIN
    assert settings() == (False, True, True), "the arithmetic is each thread's own, the collector common"
    leave.set()
    thread.join(10.0)
    assert seen == [WITHIN]
    assert settings() == USUAL


@pytest.mark.parametrize("name", backends.installed())
def test_denormal_numbers_are_zero_in_steps_of_every_backend(name):
    xp = backends.get(name)
    product = xp.jit(lambda x: x * 1.5)
    assert xp.to_numpy(product(xp.asarray(np.float32(1e-30)))) > 0.0
    assert xp.to_numpy(product(xp.asarray(np.float32(1e-42)))) == 0.0
