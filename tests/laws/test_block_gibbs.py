"""Block updates: right for a spiking network, and the same with and without a pass over the data for each proposal."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

import neko
from neko import backend as backends
from neko.bayes import BlockGibbs, Laplace, Normal
from neko.bayes.gibbs import HMC, MALA, PCN, Block, DiscontinuousHMC, RandomWalk
from neko.bayes.gibbs.contributions import refused
from neko.samplers import additive
from sampling import mapped
from significance import FALSE_ALARM, MISSED, missed_normal, p_normal

RNG = np.random.default_rng(3)
X = RNG.normal(size=(6, 1, 3))
Y = np.eye(2)[RNG.integers(0, 2, 6)]
STEADY = np.ones((6, 4, 3)) * X


def rule(xp, x=X, y=Y, cell=None, epochs=1, batch_size=None, **options):
    """Block updates after an epoch."""
    cell = neko.cells.LIF(5, recurrent=False, v_th=0.6) if cell is None else cell
    model = neko.Model(cell, y.shape[-1], xp, tau_out=options.pop("tau_out", None))
    names = ("loss", "target", "reduction")
    given = {name: options.pop(name) for name in names if name in options}
    evaluator = neko.Evaluator(model, **{"loss": "categorical_crossentropy", **given})
    found = BlockGibbs(evaluator, **{"warmup": 1, **options})
    neko.Trainer(found).train(x, y, epochs=epochs, batch_size=batch_size or len(x), shuffle=False, progress=False)
    return found


def whole(found):
    """The sweep that passes over the data for every proposal."""
    return dataclasses.replace(sweep_of(found), contributions=None)


def sweep_of(found, data=None):
    return found.sweep(found.feedback, None, found.data if data is None else data)


def dyadic(found):
    """Parameters whose readout has multiples of 1/64, so that sums of its rows have no rounding error."""
    xp = found.xp
    params = {name: np.array(xp.to_numpy(w)) for name, w in found.chains[0].position.items()}
    params |= {name: np.round(w * 64.0) / 64.0 for name, w in params.items() if name.startswith("readout")}
    return {name: xp.asarray(w) for name, w in params.items()}


def settings(xp, found):
    return {name: xp.asarray(size) for name, size in found.settled(found.tuning()).items()}


@pytest.mark.quick("torch")
@pytest.mark.parametrize("kernel", [PCN(), RandomWalk()], ids=lambda kernel: type(kernel).__name__)
@pytest.mark.parametrize("steps", [1, 4])
def test_neurons_are_judged_as_by_a_pass_over_the_data_for_each(xp, kernel, steps):
    """The same parameters bit for bit, from likelihoods that differ by their rounding at most."""
    options = {"target": "mean", "x": STEADY} if steps > 1 else {}
    blocks = [Block("layers.0.*", kernel, "neuron"), Block("readout.*", HMC())]
    found = rule(xp, blocks=blocks, **options)
    assert found.incremental
    alone = {"layers.0.*": blocks[0]}
    with xp.scope():
        params = found.chains[0].position
        moved = 0
        for seed in range(4):
            arguments = (xp.random.key(seed), params, settings(xp, found), found.data)
            fast, likelihood, rate = dataclasses.replace(sweep_of(found), blocks=alone)(*arguments)
            slow, expected, same = dataclasses.replace(whole(found), blocks=alone)(*arguments)
            moved += np.any(xp.to_numpy(fast["layers.0.w_in"]) != xp.to_numpy(params["layers.0.w_in"]))
            for name, w in slow.items():
                np.testing.assert_array_equal(xp.to_numpy(fast[name]), xp.to_numpy(w))
            np.testing.assert_allclose(float(likelihood), float(expected), rtol=1e-12)
            np.testing.assert_allclose(float(rate["layers.0.*"]), float(same["layers.0.*"]), rtol=1e-9)
            params = fast
        assert moved > 0


@pytest.mark.quick("torch")
@pytest.mark.parametrize("last", ["feed-forward", "recurrent"])
def test_a_block_of_several_layers_is_a_block_for_each(xp, last):
    """Bit for bit, with layers of different sizes, a constant that neurons share, and the readout."""
    layers = [neko.cells.LIF(4, tau_m=neko.Learnable(3.0)), neko.cells.LIF(3, recurrent=last == "recurrent")]
    together = [Block("*", RandomWalk(0.4), "neuron")]
    found = rule(xp, cell=layers, x=STEADY, target="mean", blocks=together, epochs=2)
    assert found.incremental == (last == "feed-forward")
    apart = {layer: Block(f"{layer}.w_*", RandomWalk(0.4), "neuron") for layer in ("layers.0", "layers.1")}
    apart["others"] = Block("*[mt]", RandomWalk(0.4))  # what is of no single neuron: tau_m, w_out, b_out
    with xp.scope():
        start, size = found.chains[0].position, xp.asarray(0.4)
        params = start
        for seed in range(5):
            key = xp.random.key(seed)
            one, likelihood, rate = sweep_of(found)(key, params, {"*": size}, found.data)
            (key,) = xp.unstack(xp.random.split(key, 1))
            sweep = dataclasses.replace(sweep_of(found), blocks=apart)
            three, expected, rates = sweep(key, params, dict.fromkeys(apart, size), found.data)
            for name, w in three.items():
                np.testing.assert_array_equal(xp.to_numpy(one[name]), xp.to_numpy(w))
            assert float(likelihood) == float(expected)
            assert float(rate["*"]) == pytest.approx(np.mean([float(r) for r in rates.values()]), rel=1e-12)
            params = one
    for name, w in params.items():
        assert np.all(xp.to_numpy(w) != xp.to_numpy(start[name])), f"all of {name} moves"


@pytest.mark.quick("torch")
def test_outputs_that_follow_the_neurons_are_those_of_a_full_pass(xp):
    """Bit for bit, with a readout without rounding errors; after a sweep over all neurons."""
    found = rule(xp)
    sweep, params = sweep_of(found), dyadic(found)
    with xp.scope():
        sums = sweep.contributions
        before = sums.features(params, found.data)
        proposed = {
            **params,
            **PCN().propose(
                xp,
                xp.random.key(1),
                {"layers.0.w_in": params["layers.0.w_in"]},
                None,
                setting(found, "layers.0.w_in"),
                5,
            ),
        }
        after = sums.features(proposed, found.data)
        targets = sums.targets(found.data)
        outputs, info = additive.step(
            xp,
            xp.random.key(2),
            sums.outputs(params, before),
            xp.matrix_transpose(after - before),
            params["readout.w_out"],
            xp.zeros((5,)),
            lambda y: sums.loglikelihood(y, targets),
        )
        chosen = np.asarray(xp.to_numpy(info.accepted))
        w = np.where(chosen, xp.to_numpy(proposed["layers.0.w_in"]), xp.to_numpy(params["layers.0.w_in"]))
        moved = {**params, "layers.0.w_in": xp.asarray(w)}
        batch = found.model.batch(*(None if a is None else a[0] for a in found.data[0]))
        full = found.model.model.forward(xp, moved, batch.x, None, training=False).outputs[0]
    assert chosen.any()
    assert not chosen.all()
    np.testing.assert_array_equal(xp.to_numpy(outputs).T, xp.to_numpy(full))


def setting(found, *names):
    from neko.bayes.gibbs.kernel import Setting

    return Setting({name: found.priors[name] for name in names}, 1.0)


def test_terms_are_tried_in_turn_by_the_ratio_of_likelihoods(xp):
    """In NumPy, term by term."""
    rng = np.random.default_rng(0)
    y, changes, w, c = rng.normal(size=(2, 7)), rng.normal(size=(9, 7)), rng.normal(size=(9, 2)), rng.normal(size=9)
    key = xp.random.key(4)
    found, info = additive.step(xp, key, *(xp.asarray(a) for a in (y, changes, w, c)), lambda y: -xp.sum(xp.square(y)))
    uniforms = np.asarray(xp.to_numpy(xp.random.uniform(key, (9,))))
    expected, accepted = y, []
    for j in range(9):
        moved = expected + np.outer(w[j], changes[j])
        ratio = np.exp(np.sum(expected**2) - np.sum(moved**2) + c[j])
        accepted.append(uniforms[j] < min(1.0, ratio))
        expected = moved if accepted[-1] else expected
        np.testing.assert_allclose(float(info.acceptance_probability[j]), min(1.0, ratio), rtol=1e-9)
    assert 0 < sum(accepted) < 9
    np.testing.assert_array_equal(xp.to_numpy(info.accepted), accepted)
    np.testing.assert_allclose(xp.to_numpy(found), expected, rtol=1e-12)


SCALE, CHAINS, SWEEPS = 1.2, 4000, 5
KERNELS = {
    "pCN": [Block("layers.0.*", PCN((1.0, 0.4)), "neuron"), Block("readout.*", HMC(step_size=1.0, steps=3))],
    "random walk": [Block("layers.0.*", RandomWalk(0.7), "neuron"), Block("readout.*", RandomWalk(0.7))],
    "MALA, jumps": [Block("layers.0.*", DiscontinuousHMC(0.8), "layer"), Block("readout.*", MALA(0.2))],
}


def joint(seed):
    """Weights from the prior and labels that the network of these weights gives, for every chain."""
    rng = np.random.default_rng(seed)
    params = {
        "layers.0.w_in": SCALE * rng.normal(size=(CHAINS, X.shape[-1], 2)),
        "readout.w_out": SCALE * rng.normal(size=(CHAINS, 2, 2)),
        "readout.b_out": SCALE * rng.normal(size=(CHAINS, 2)),
    }
    logits = outputs(params)
    p = np.exp(logits - np.logaddexp(logits[..., :1], logits[..., 1:]))
    return params, np.eye(2)[(rng.uniform(size=(CHAINS, len(X))) > p[..., 0]).astype(int)]


def outputs(params):
    """A step of LIF neurons with the threshold 0.6 from rest, and a readout without memory."""
    spikes = (np.einsum("ni,cij->cnj", X[:, 0], params["layers.0.w_in"]) > 0.6) * 1.0
    return spikes @ params["readout.w_out"] + params["readout.b_out"][:, None]


def loglikelihood(params, labels):
    logits = outputs(params)
    return np.sum(labels * (logits - np.logaddexp(logits[..., :1], logits[..., 1:])), axis=(1, 2))


def flat(params):
    return np.concatenate([params[name].reshape(CHAINS, -1) for name in sorted(params)], axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("kernels", KERNELS)
def test_sweeps_keep_the_joint_law_of_weights_and_simulated_labels(kernels):
    """Simulation-based calibration of a spiking network. A chain that starts in weights of the prior, with labels drawn
    from the network of these, keeps the joint law of both (Geweke 2004). So the weights are again draws of the prior,
    with an exact p-value (see `significance`), and their log likelihood is distributed as it is at other draws of the
    joint law, by the rank test, whose p-value is exact to the normal approximation at thousands of draws.

    The control accepts by a twentieth of the log likelihood. The rank test misses it with the probability that follows
    from the variance of its statistic and the distance that was measured, less five standard errors.
    """
    pytest.importorskip("jax")
    xp, vmap = mapped(backends.get("jax", dtype="float64"))
    import jax

    start, labels = joint(0)
    others = loglikelihood(*joint(1))
    found = rule(xp, y=Y, cell=neko.cells.LIF(2, recurrent=False, v_th=0.6), prior=SCALE, blocks=KERNELS[kernels])
    sizes = settings(xp, found)

    def ends(**changes):
        def step(key, params, y):
            stacked = (found.data[0][0], xp.expand_dims(y, axis=0), None)
            sweep = dataclasses.replace(found.sweep({}, None, (stacked, None)), **changes)
            return sweep(key, params, sizes, (stacked, None))[0]

        advance, params = jax.jit(vmap(step)), {name: xp.asarray(w) for name, w in start.items()}
        for key in xp.unstack(xp.random.split(xp.random.key(7), SWEEPS)):
            params = advance(xp.random.split(key, CHAINS), params, xp.asarray(labels))
        return {name: np.asarray(w) for name, w in params.items()}

    def p_of_ranks(params):
        return stats.mannwhitneyu(loglikelihood(params, labels), others).pvalue

    with xp.scope():
        right, deaf = ends(), ends(power=0.05)
    draws, size = flat(right), flat(right).shape[1]
    assert p_normal(draws, np.zeros(size), SCALE**2 * np.eye(size)) > FALSE_ALARM
    assert p_of_ranks(right) > FALSE_ALARM
    for name, w in right.items():
        assert np.corrcoef(w.ravel(), start[name].ravel())[0, 1] < 0.9, "it moves"
    # the chance that a log likelihood of the control is above another's, ½ for the right one
    above = stats.mannwhitneyu(loglikelihood(deaf, labels), others).statistic / CHAINS**2
    error = np.sqrt(1.0 / (6.0 * CHAINS))
    assert stats.norm.cdf(stats.norm.isf(0.5 * FALSE_ALARM) - (abs(above - 0.5) / error - 5.0)) < MISSED
    assert p_of_ranks(deaf) < FALSE_ALARM


def test_a_readout_of_squared_errors_has_its_conjugate_posterior():
    """With the features as they are: of thousands of chains from exact draws. The control is a likelihood of ½."""
    pytest.importorskip("jax")
    xp, vmap = mapped(backends.get("jax", dtype="float64"))
    chains = 4000
    y = np.random.default_rng(1).normal(size=(6, 1))
    blocks = [Block("layers.0.*", PCN(), "neuron"), Block("readout.*", HMC(step_size=0.9, steps=2, curvature=1.0))]
    found = rule(xp, y=y, cell=neko.cells.LIF(2, recurrent=False, v_th=0.3), loss="half_squared_error", blocks=blocks)
    with xp.scope():
        params, sums = found.chains[0].position, sweep_of(found).contributions
        s = np.concatenate([xp.to_numpy(sums.features(params, found.data)).T, np.ones((1, 6))])
    covariance = np.linalg.inv(s @ s.T + np.eye(3))
    mean = covariance @ s @ y[:, 0]
    starts = np.random.default_rng(2).multivariate_normal(mean, covariance, size=chains, method="cholesky")

    def ends(power):
        sweep = dataclasses.replace(sweep_of(found), blocks={"readout.*": blocks[1]}, power=power)

        def step(key, w, b):
            own = {**params, "readout.w_out": w, "readout.b_out": b}
            after = sweep(key, own, {"readout.*": xp.asarray(0.9)}, found.data)[0]
            return after["readout.w_out"], after["readout.b_out"]

        w, b = xp.asarray(starts[:, :2, None]), xp.asarray(starts[:, 2:])
        advance = xp.jit(vmap(step))
        for key in xp.unstack(xp.random.split(xp.random.key(3), 8)):
            w, b = advance(xp.random.split(key, chains), w, b)
        return np.concatenate([xp.to_numpy(w)[..., 0], xp.to_numpy(b)], axis=1)

    right = ends(1.0)
    assert p_normal(right, mean, covariance) > FALSE_ALARM
    assert np.abs(np.corrcoef(right[:, 0], starts[:, 0])[0, 1]) < 0.5, "it moves"
    flatter = np.linalg.inv(0.5 * s @ s.T + np.eye(3))
    other = flatter @ (0.5 * s @ y[:, 0])
    assert missed_normal(chains, mean, covariance, other, flatter) < MISSED
    assert p_normal(ends(0.5), mean, covariance) < FALSE_ALARM


@pytest.mark.slow
def test_sweeps_are_the_same_on_every_backend():
    """From the same weights and keys, to rounding."""
    found = {}
    for name in backends.installed():
        xp = backends.get(name, dtype="float64")
        made = rule(xp)
        with xp.scope():
            params = {
                n: xp.asarray(np.cos(np.arange(np.prod(w.shape))).reshape(w.shape)) for n, w in dyadic(made).items()
            }
            for seed in range(4):
                arguments = xp.random.key(seed), params, settings(xp, made), made.data
                params, likelihood, _ = sweep_of(made)(*arguments)
            found[name] = {**{n: np.array(xp.to_numpy(w)) for n, w in params.items()}, "likelihood": float(likelihood)}
    first, *others = found.values()
    assert others
    for other in others:
        for name, values in first.items():
            np.testing.assert_allclose(other[name], values, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(
    ("cell", "options", "reason"),
    [
        (neko.cells.LIF(3, recurrent=True), {}, "recurrently connected"),
        (neko.cells.LIF(3, recurrent=False), {"x": STEADY}, "at every step"),
        (neko.cells.LIF(3, recurrent=False), {"x": STEADY, "target": "last"}, None),
        ([neko.cells.LIF(4), neko.cells.LIF(3, recurrent=False)], {"x": STEADY, "target": "mean"}, None),
    ],
)
def test_where_outputs_are_no_sum_every_proposal_is_a_pass(cell, options, reason):
    found = rule("torch", cell=cell, epochs=4, **options)
    assert found.incremental == (reason is None)
    with found.xp.scope():
        told = refused(found.model, [found.model.batch(*(None if a is None else a[0] for a in found.data[0]))])
    assert told is None if reason is None else reason in told
    assert np.ptp(found.posterior.logdensity) > 0.0


def test_what_is_given_is_checked():
    with pytest.raises(ValueError, match=r"no block has \['readout.b_out', 'readout.w_out'\]"):
        rule("torch", blocks=[Block("layers.*", PCN())])
    with pytest.raises(ValueError, match=r"blocks of \['layer.0'\]"):
        rule("torch", blocks=[Block("*", PCN()), Block("layer.0", PCN())])
    with pytest.raises(ValueError, match="pCN keeps a Normal prior"):
        rule("torch", prior=Laplace(1.0))
    with pytest.raises(ValueError, match="by='neuron' with HMC"):
        Block("layers.*", HMC(), "neuron")
    with pytest.raises(ValueError, match="expected numbers above 0 and up to 1"):
        PCN(widths=[0.5, 1.5])
    torch = pytest.importorskip("torch")
    module = neko.Evaluator(torch.nn.Linear(3, 2), loss="mse")
    with pytest.raises(TypeError, match="expected a network of cells"):
        BlockGibbs(module)


@pytest.mark.slow
def test_a_laplace_prior_is_sampled_by_random_walks():
    """Without data that say anything (all inputs 0, a readout of a single class) the draws are those of the prior: the
    mean of |w| / b, over thousands of weights, is 1 with the variance 1 / weights."""
    n = 2000
    blocks = [Block("layers.0.*", RandomWalk(1.5), "neuron"), Block("readout.*", RandomWalk(0.1))]
    prior = {"layers.*": Laplace(0.7), "*": Normal(1.0)}
    found = rule(
        "torch",
        x=np.zeros((2, 1, 1)),
        y=Y[:2],
        cell=neko.cells.LIF(n, recurrent=False),
        blocks=blocks,
        prior=prior,
        warmup=0,
        epochs=150,
    )
    w = np.asarray(found.chains[0].position["layers.0.w_in"]) / 0.7
    assert stats.norm.sf(abs(np.abs(w).mean() - 1.0) * np.sqrt(n)) * 2.0 > FALSE_ALARM
    # the control: standard normals, whose |w| have the mean √(2/π) and the variance 1 - 2/π
    distance = (1.0 - np.sqrt(2.0 / np.pi)) * np.sqrt(n) - stats.norm.isf(0.5 * FALSE_ALARM)
    assert stats.norm.sf(distance / np.sqrt(1.0 - 2.0 / np.pi)) < MISSED
