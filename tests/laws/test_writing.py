"""Every way to write a wanted change by pulses: what comes on average, what waits, what is lost."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko import updates
from neko.backend import generated
from neko.devices import ConstantStep, DifferentialPair, Drift, ReadNoise, SingleDevice, SoftBounds
from neko.updates import Coincidences, Manhattan, MixedPrecision, ProbabilisticPulses, TikiTaka
from neko.updates.analog.coincidences import trains
from significance import FALSE_ALARM, MISSED, missed_binomial, p_binomial

pytestmark = pytest.mark.quick("torch")
DEVICE = ConstantStep(g_min=0.0, g_max=1e-3, dg_min=1e-6)
SIZE = 2e-3
"""What a pair of pulses changes: 2 Δ / (g_max - g_min) for w_max = 1."""
FOLLOWING = (MixedPrecision, ProbabilisticPulses, Coincidences, TikiTaka)


@pytest.fixture(autouse=True)
def plain():
    """The formulas, not the kernels of tests/unit/test_elementwise.py, which take seconds to compile."""
    with generated.plain():
        yield


def run(xp, rule, gradients, w, rate=1.0):
    """Weights after the gradients, one after the other; the bound update; its state."""
    update = updates.resolve(xp, rule).update
    params = {"w": xp.asarray(w)}
    state = update.init(params)
    for g in gradients:
        params, state = update.step(params, {"w": xp.asarray(g)}, state, xp.scalar(rate))
    return np.array(xp.to_numpy(params["w"])), update, state


def test_mixed_precision_writes_whole_pulses_and_keeps_the_rest(xp):
    """Small changes add up and those of opposite signs cancel: after every step the weight is within a pulse of what
    the optimizer alone would have made, and never further away than that."""
    rng = np.random.default_rng(0)
    w, gradients = rng.uniform(-0.3, 0.3, (3, 4)), rng.normal(0.0, 0.6 * SIZE, (30, 3, 4))
    for count in (1, 7, 30):
        found, update, state = run(xp, MixedPrecision(device=DEVICE, w_max=1.0, most=4), gradients[:count], w)
        exact = w - gradients[:count].sum(axis=0)
        assert np.abs(found - exact).max() < SIZE
        pulses = np.round((found - w) / SIZE)
        np.testing.assert_allclose(found, w + SIZE * pulses, atol=1e-12)
        np.testing.assert_allclose(found + xp.to_numpy(state.own["w"]), exact, atol=1e-12)
    least = np.abs(pulses).mean()
    assert update.report(state)["pulses"] < 0.6 * np.abs(gradients / SIZE).sum(axis=0).mean()
    assert update.report(state)["pulses"] >= least > 1.0


def test_at_most_as_many_pulses_as_allowed_are_written_at_once(xp):
    w, g = np.zeros((1, 3)), np.array([[-10.2, 3.4, 0.2]]) * SIZE
    found, _, state = run(xp, MixedPrecision(device=DEVICE, w_max=1.0, most=3), [g], w)
    np.testing.assert_allclose(found / SIZE, [[3.0, -3.0, 0.0]], atol=1e-9)
    np.testing.assert_allclose(xp.to_numpy(state.own["w"]) / SIZE, [[7.2, -0.4, -0.2]], atol=1e-6)
    found, _, _ = run(xp, ProbabilisticPulses(device=DEVICE, w_max=1.0, most=3), [g], w)
    np.testing.assert_allclose(found[0, 0] / SIZE, 3.0)
    assert np.round(found[0, 1:] / SIZE).tolist() in [[a, b] for a in (-3.0,) for b in (0.0, -1.0)]


def test_probabilistic_pulses_keep_the_wanted_change_in_the_mean(xp):
    """A change of .3 pulses makes one with probability .3; the control is .33."""
    n = 40_000
    found, _, _ = run(xp, ProbabilisticPulses(device=DEVICE, w_max=1.0), [np.full((n,), 0.3 * SIZE)], np.zeros(n))
    count = np.round(-found / SIZE)
    assert set(count) == {0.0, 1.0}
    assert p_binomial(int(count.sum()), n, 0.3) > FALSE_ALARM
    assert missed_binomial(n, 0.3, 0.33) < MISSED


def test_coincidences_have_the_law_of_gokmen_and_vlasov(xp):
    """In every slot a device gets a pulse with the probability p_i q_j, and two of one row both get one with the
    probability p_i q_j q_k, since they share the row's train. The controls are 15 % more pulses, and rows that fire
    anew for each device."""
    slots = 40_000
    p, q = np.array([0.5, 0.3]), np.array([0.5, 0.4])
    u, v = xp.asarray(p[:, None]), xp.asarray(-q[None, :])
    rows, columns = trains(xp, xp.random.key(0), u, v, xp.scalar(1.0 / slots), slots)
    pulses = xp.to_numpy(rows * columns)
    assert set(np.unique(pulses)) == {-1.0, 0.0}
    for i in range(2):
        for j in range(2):
            count, chance = -pulses[:, i, j].sum(), p[i] * q[j]
            assert p_binomial(int(count), slots, chance) > FALSE_ALARM
            assert missed_binomial(slots, chance, 1.15 * chance) < MISSED
        both, chance = (pulses[:, i, 0] * pulses[:, i, 1]).sum(), p[i] * q[0] * q[1]
        assert p_binomial(int(both), slots, chance) > FALSE_ALARM
        assert missed_binomial(slots, chance, p[i] * chance) < MISSED


@pytest.mark.parametrize("shape", [(4, 5), (5,), (2, 2, 3)])
def test_coincidences_write_an_outer_product_in_the_mean_and_nothing_for_none(xp, shape):
    rng = np.random.default_rng(1)
    rule = Coincidences(device=DEVICE, w_max=1.0, length=40, rank=1)
    still, _, state = run(xp, rule, [np.zeros(shape)], np.zeros(shape))
    assert np.abs(still).max() < 1e-12
    assert not xp.to_numpy(state.stores["w"].devices[0].pulses).any()
    wanted = rng.standard_normal(shape[:-1] or (1,)).reshape(*(shape[:-1] or (1,)), 1) * rng.standard_normal(shape[-1])
    wanted = (wanted * 3.0 * SIZE).reshape(shape)
    found, _, _ = run(xp, rule, [-wanted], np.zeros(shape))
    # 40 slots: a count is within five deviations of its mean, √(40 · 1/4) at most
    assert np.abs(found - wanted).max() < 5.0 * np.sqrt(10.0) * SIZE
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.5


@pytest.mark.parametrize("version", [1, 2])
def test_tiki_taka_moves_weights_by_what_its_fast_array_has_gathered(xp, version):
    """Whole pulses and no noise: A gathers a pulse in each update, and one column in turn is added to C."""
    rule = TikiTaka(device=DEVICE, w_max=1.0, version=version, most=10, transfer=2.0)
    g = np.array([[-1.0, 1.0], [0.0, -1.0]]) * 2e-3  # a pulse changes A by 2 Δ / range
    w = np.array([[0.1, -0.2], [0.3, 0.0]])
    found, _, state = run(xp, rule, [g] * 4, w)
    fast = state.own["w"][0]
    np.testing.assert_allclose(xp.to_numpy(fast.held), -4.0 * g, atol=1e-12)
    # column 0 is read after updates 1 and 3, column 1 after 2 and 4
    expected = w - 2.0 * g * np.array([1.0 + 3.0, 2.0 + 4.0])
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.slow
def test_tiki_takas_fast_array_forgets_gradients_without_a_mean(xp):
    """Soft bounds: alternating gradients leave A at zero, its symmetry point, though its steps are asymmetric; without
    the symmetry point as its zero they would leave it at the asymmetry, .5 of its range."""
    device = SoftBounds(g_min=0.0, g_max=1e-3, dg_min=1e-5, up_down=0.5)
    rng = np.random.default_rng(0)
    gradients = [np.full((8, 1), s * 0.02) for s in rng.permutation([-1.0, 1.0] * 120)]
    for fast, left in ((None, 0.15), (SingleDevice(device), 0.35)):
        _, _, state = run(xp, TikiTaka(device=device, fast=fast, w_max=1.0, most=2), gradients, np.zeros((8, 1)))
        size = np.abs(xp.to_numpy(state.own["w"][0].held)).mean()
        assert size < left if fast is None else size > left


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize("written_by", ["mixed_precision", "probabilistic_pulses", "coincidences", "tiki_taka"])
def test_every_backend_writes_the_same(xp, written_by):
    """Some compiled updates of weights in noisy devices."""

    def written(xp):
        device = SoftBounds(dg_min_std=0.3, dg_min_dtod=0.3)
        rule = updates.UPDATES.get(written_by)
        update = updates.resolve(xp, rule(device=device, optimizer="adam", learning_rate=0.05, w_max=1.0)).update
        params = {"w": xp.asarray(np.linspace(-0.4, 0.4, 6).reshape(2, 3))}
        state, step = update.init(params), xp.jit(update.step)
        for k in range(6):
            gradient = xp.asarray(np.random.default_rng(k).standard_normal((2, 3)))
            params, state = step(params, {"w": gradient}, state, xp.scalar(0.05))
        return np.array(xp.to_numpy(params["w"]))

    torch = backends.get("torch", dtype="float64")
    with torch.scope():
        expected = written(torch)
    np.testing.assert_allclose(written(xp), expected, rtol=1e-9, atol=1e-12)
    assert np.abs(expected - np.linspace(-0.4, 0.4, 6).reshape(2, 3)).max() > 1e-3


@pytest.mark.parametrize("kind", FOLLOWING)
def test_without_a_wanted_change_nothing_moves_and_a_schedule_scales_it(xp, kind):
    rule = kind(device=SoftBounds(dg_min_std=0.3, dg_min_dtod=0.3), w_max=1.0)
    w = np.linspace(-0.4, 0.4, 6).reshape(2, 3)
    still, update, state = run(xp, rule, [np.zeros((2, 3))] * 2, w)
    np.testing.assert_allclose(still, w, atol=1e-9)
    assert update.report(state)["pulses"] == 0.0
    still, _, _ = run(xp, rule, [np.ones((2, 3))], w, rate=0.0)
    np.testing.assert_allclose(still, w, atol=1e-9)


@pytest.mark.parametrize("rule", [Manhattan, *FOLLOWING])
def test_digital_parameters_are_the_optimizers(rule):
    """Bit for bit those of the optimizer alone."""
    rng = np.random.default_rng(0)
    x, y = 5.0 * rng.random((8, 6, 3)), np.eye(2)[rng.integers(0, 2, 8)]

    def trained(optimizer, **options):
        model = neko.Evaluator(neko.LIF(6, 2, "torch", seed=2), loss="categorical_crossentropy")
        neko.Trainer(neko.Eprop(model, optimizer=optimizer, **options)).train(x, y, epochs=1, progress=False)
        return model.params

    own = {"digital_optimizer": "adam", "digital_rate": 0.01}
    own = own if rule is Manhattan else {"optimizer": "adam", "learning_rate": 0.01}
    mixed = trained(rule(device=DEVICE, w_max=3.0, digital=["readout.*"], **own))
    alone = trained("adam", learning_rate=0.01)
    for name, w in mixed.items():
        same = np.array_equal(w, alone[name])
        assert same == name.startswith("readout"), name
    with pytest.raises(ValueError, match=r"digital='readuot.\*'"):
        trained(rule(device=DEVICE, digital=["readuot.*"], **own))


def test_the_forward_pass_reads_with_noise_and_the_devices_keep_theirs():
    """The loss of a linear readout is that of the noisy weights, a fresh draw in each step of one state."""
    x, y = np.ones((4, 5, 3)), np.zeros((4, 5, 2))
    losses = {}
    for noise in (0.0, 0.05):
        device = ConstantStep(imperfections=[ReadNoise(noise)])
        model = neko.Evaluator(neko.RNN(6, 2, "torch", seed=2), loss="mse")
        rule = neko.BPTT(model, optimizer=Manhattan(device=device, w_max=2.0, dead_zone=1e9))
        losses[noise] = [rule.step(x, y)["loss"] for _ in range(4)]
        kept = {name: w.clone() for name, w in model.params.items()}
        rule.step(x, y)
        assert all(np.array_equal(kept[name], w) for name, w in model.params.items())
    assert len(set(losses[0.0])) == 1
    assert len(set(losses[0.05])) == 4


def test_time_passes_between_updates_and_after_them(xp):
    device = ConstantStep(g_min=0.0, g_max=1e-3, dg_min=1e-6, imperfections=[Drift(nu=0.1)])
    storage = DifferentialPair(device)
    w = np.array([[0.2, -0.4]])
    found, update, state = run(xp, Manhattan(device=storage, w_max=1.0, seconds=3.0), [np.zeros((1, 2))] * 5, w)
    np.testing.assert_allclose(found, w * 16.0**-0.1, rtol=1e-9)
    later, _ = update.elapse({"w": xp.asarray(found)}, state, 84.0)
    np.testing.assert_allclose(xp.to_numpy(later["w"]), w * 100.0**-0.1, rtol=1e-9)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Manhattan(device=ConstantStep(imperfections=[Drift()])), "seconds=None"),
        (lambda: Manhattan(digital=["b"]), "expected a device"),
        (lambda: MixedPrecision(optimizer="adamm"), "optimizer='adamm'"),
        (lambda: Coincidences(most=3), "set length"),
        (lambda: TikiTaka(version=3), "version=3"),
        (lambda: TikiTaka(transfer=0.0), "transfer=0.0"),
    ],
)
def test_a_wrong_option_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
