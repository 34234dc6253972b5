"""Random numbers drawn in the host's memory, and updates in one pass: by compiled code, by NumPy and by a framework."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neko import backend as backends
from neko.backend.random import Random
from neko.kernels import threefry

KEY = (0x13198A2E, 0x03707344)
SIZE = 2 * threefry.CHUNK + 5
"""More than two chunks, and no multiple of what a processor computes at once."""
DTYPES = ("float32", "float64")
DRAWS = {
    "words": (threefry.WORDS, "int64", 1),
    **{f"uniform {d}": (threefry.UNIFORM[d], d, 1) for d in DTYPES},
    **{f"normal {d}": (threefry.NORMAL[d], d, 2) for d in DTYPES},
}


def words(*values):
    return (np.array([v], np.uint32) for v in values)


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        (KEY, (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_block_function_has_the_known_answers_of_random123(key, counter, expected):
    assert tuple(int(w[0]) for w in threefry.block(*words(*key), *words(*counter))) == expected


def test_the_first_pair_of_the_zero_key_is_a_known_answer():
    assert threefry.words((0, 0), 3)[0].tolist() == [0x6B200159, 0x99BA4EFE]


@pytest.mark.parametrize("name", DRAWS)
def test_compiled_code_and_numpy_draw_the_same_bits(name):
    pytest.importorskip("numba")
    draw, dtype, keys = DRAWS[name]
    key = threefry.words(KEY, keys).ravel()
    shape = (SIZE, 2) if name == "words" else (SIZE,)
    compiled = threefry.drawn(draw, np.zeros(shape, dtype), key)
    plain = threefry.drawn(draw._replace(fill=None), np.zeros(shape, dtype), key)
    np.testing.assert_array_equal(compiled, plain)
    assert len(np.unique(compiled[:1000])) > 900


@pytest.mark.parametrize("dtype", DTYPES)
def test_they_are_the_numbers_of_the_frameworks_operations(dtype):
    """As on devices other than the CPU: uniform numbers and keys bit for bit, normal numbers to rounding."""
    xp = backends.get("torch", dtype=dtype)
    own, general = xp.random, Random(xp, xp.random.word)
    assert type(own) is not Random
    keys = own.split(own.key(2**40 + 7), 3)
    np.testing.assert_array_equal(keys, general.split(general.key(2**40 + 7), 3))
    assert keys.dtype == general.key(0).dtype
    found, expected = own.uniform(keys[1], (SIZE, 1)), general.uniform(keys[1], (SIZE, 1))
    assert found.dtype == xp.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(
        own.normal(keys[2], (5, 1000)), general.normal(keys[2], (5, 1000)), rtol=5 * float(np.finfo(dtype).eps)
    )
    assert own.normal(keys[2], ()).shape == ()
    assert own.uniform(keys[2], (0, 3)).shape == (0, 3)


def test_many_keys_at_once_draw_what_each_draws_alone():
    xp = backends.get("torch")
    keys = xp.random.split(xp.random.key(5), 4)

    def draw(key):
        first, second = xp.random.split(key)
        return xp.random.uniform(first, (3,)), xp.random.normal(second, (3,))

    for found, *alone in zip(torch.func.vmap(draw)(keys), *map(draw, keys), strict=True):
        np.testing.assert_allclose(found, np.stack(alone), rtol=1e-6)


def edges(dtype):
    """Uniform numbers at the ends, and where the cosine of the angle is almost zero."""
    unit = 2.0 ** (-24 if dtype == "float32" else -53)
    near = unit * np.arange(200)
    inside = np.round(np.linspace(0.0, 0.99, 999) / unit) * unit
    return np.concatenate([near, 1.0 - unit - near, inside, *(q + s * near for q in (0.25, 0.75) for s in (2.0, -2.0))])


@pytest.mark.parametrize("dtype", DTYPES)
def test_radius_and_angle_are_exact_to_rounding(dtype):
    """Within 2 units in the last place; in double precision the reference may err as much."""
    u = edges(dtype).astype(dtype)
    radius, cosine = {
        "float32": (threefry.radius_single, threefry.cosine_single),
        "float64": (threefry.radius_double, threefry.cosine_double),
    }[dtype]
    turn = np.array(2.0 * np.pi, dtype)
    bound = (2 if dtype == "float32" else 4) * np.finfo(dtype).eps
    np.testing.assert_allclose(radius(u), np.sqrt(-2.0 * np.log1p(-u.astype("f8"))), rtol=bound)
    np.testing.assert_allclose(cosine(u), np.cos((turn * u).astype("f8")), rtol=bound)
    assert np.abs(cosine(u)).min() < 1e-6


@pytest.mark.parametrize("name", backends.installed())
def test_single_precision_normals_agree_on_every_backend(name):
    xp, reference = backends.get(name), backends.get("torch")
    with xp.scope():
        found = xp.to_numpy(xp.random.normal(xp.random.key(3), (4000,)))
    np.testing.assert_allclose(found, reference.random.normal(reference.random.key(3), (4000,)), rtol=1e-6)


@pytest.mark.quick("torch", "jax")
@pytest.mark.parametrize("name", backends.installed())
def test_the_key_of_a_number_is_another_key_and_the_same_on_every_backend(name):
    """Also where the number is an array of a compiled function, and for the next seed with the number before."""
    xp = backends.get(name)
    found = [
        xp.to_numpy(xp.jit(lambda n, seed=seed: xp.random.fold(xp.random.key(seed), n))(xp.scalar(float(n)))).tolist()
        for seed, n in ((7, 0), (7, 1), (7, 2), (8, 1))
    ]
    plain = threefry.words((2, 7), 1)[0].tolist()
    assert found[2] == plain == xp.to_numpy(xp.random.fold(xp.random.key(7), 2)).tolist()
    assert len({tuple(words) for words in [*found, xp.to_numpy(xp.random.key(7)).tolist()]}) == 5
    assert xp.to_numpy(xp.random.fold(xp.random.key(7), None)).tolist() == [0, 7]
