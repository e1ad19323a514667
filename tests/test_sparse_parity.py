"""The (n,k)-parity problem: labels by brute force, streams by their statistics."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import bits_reference
from scipy.stats import chi2, chisquare, norm

from parity_lightning import SettingError, SparseParity
from parity_lightning.data.sparse_parity import STREAMS

EXAMPLES = torch.arange(20_000)


def z_score(values: torch.Tensor) -> float:
    """How many standard errors the mean of values -1 and +1 is from 0."""
    return abs(float(values.double().mean())) * math.sqrt(values.numel())


@pytest.mark.parametrize("n", [1, 5, 10])
@given(data=st.data())
def test_label_is_the_parity_on_all_inputs(n: int, data: st.DataObject) -> None:
    support = data.draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True))
    parity = SparseParity(n, len(support), support)
    inputs = list(itertools.product([-1.0, 1.0], repeat=n))
    expected = [(-1) ** sum(x[i] < 0 for i in support) for x in inputs]
    assert parity.label(torch.tensor(inputs)).tolist() == expected
    assert parity.label(torch.tensor(inputs[0])) == expected[0]


@given(n=st.integers(1, 1000), seed=st.integers(0, 2**64 - 1), data=st.data())
def test_examples_are_signs_with_their_parity(n: int, seed: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n))
    index = torch.tensor(data.draw(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4)))
    parity = SparseParity(n, k, seed=seed)
    assert sorted(set(parity.support)) == list(parity.support)
    assert len(parity.support) == k
    x, y = parity.draw(index)
    assert x.dtype == y.dtype == torch.float32
    assert x.shape == (len(index), n)
    assert bool((x.abs() == 1).all())
    expected = np.prod(x.numpy()[:, parity.support], axis=1)
    assert y.tolist() == expected.tolist()


def test_an_example_depends_on_its_index_alone() -> None:
    parity = SparseParity(70, 3, seed=3)
    x, y = parity.draw(torch.arange(12).reshape(3, 4))
    assert x.shape == (3, 4, 70)
    backwards, labels = parity.draw(torch.arange(11, -1, -1))
    assert torch.equal(backwards.flip(0), x.reshape(12, 70))
    assert torch.equal(labels.flip(0), y.reshape(12))


@pytest.mark.parametrize("n", [3, 50, 130])
def test_bits_are_unbiased(n: int) -> None:
    x, y = SparseParity(n, 3, seed=11).draw(EXAMPLES)
    plus = (x > 0).sum(0).double().numpy()
    sigma = math.sqrt(len(EXAMPLES)) / 2
    z = (plus - len(EXAMPLES) / 2) / sigma
    # The sum of n squared z-scores is chi-square with n degrees of freedom.
    assert 1e-3 < chi2.cdf((z**2).sum(), n) < 1 - 1e-3
    assert z_score(y) < 4


def test_bits_are_uncorrelated_with_each_other() -> None:
    n = 50
    x, _ = SparseParity(n, 3, seed=12).draw(EXAMPLES)
    correlation = (x.T @ x / math.sqrt(len(x)))[torch.triu_indices(n, n, 1).unbind()].numpy()
    bound = norm.isf(1e-4 / len(correlation))
    assert np.abs(correlation).max() < bound


def test_patterns_of_bits_are_equally_likely() -> None:
    x, _ = SparseParity(6, 2, seed=13).draw(torch.arange(64_000))
    pattern = ((x > 0).long() * 2 ** torch.arange(6)).sum(-1)
    assert chisquare(torch.bincount(pattern, minlength=64).numpy()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((0, "train", 0), (1, "train", 0)),
        ((7, "train", 0), (7 + 2**32, "train", 0)),
        ((0, "train", 0), (0, "train", 1)),
        ((0, "train", 0), (0, "train", 2**32)),
        ((3, "train", 0), (3, "validation", 0)),
        ((3, "train", 0), (3, "test", 0)),
        ((3, "validation", 0), (3, "test", 0)),
    ],
)
def test_seeds_streams_and_indices_are_independent(one: tuple[int, str, int], other: tuple[int, str, int]) -> None:
    def bits(seed: int, stream: str, shift: int) -> torch.Tensor:
        return SparseParity(50, 3, seed=seed).draw(EXAMPLES + shift, stream)[0]  # type: ignore[arg-type]

    first, second = bits(*one), bits(*other)
    z = (first * second).double().sum(0).numpy() / math.sqrt(len(EXAMPLES))
    assert 1e-3 < chi2.cdf((z**2).sum(), len(z)) < 1 - 1e-3
    # No example of one is an example of the other: of 2^50 inputs, 20,000 random ones share none.
    weights = 2.0 ** torch.arange(50, dtype=torch.float64)
    if one[2] == other[2] or abs(one[2] - other[2]) > len(EXAMPLES):
        numbers = [set(((x > 0).double() @ weights).tolist()) for x in (first, second)]
        assert not numbers[0] & numbers[1]


@pytest.mark.parametrize(("n", "k"), [(5, 2), (6, 3), (4, 4), (4, 1)])
def test_every_support_is_equally_likely(n: int, k: int) -> None:
    drawn = Counter(SparseParity(n, k, seed=seed).support for seed in range(2_000 if k < n else 50))
    assert len(drawn) == math.comb(n, k)
    if len(drawn) > 1:
        assert chisquare(list(drawn.values())).pvalue > 1e-3


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.25, 0.49, 0.5])
def test_noise_flips_the_stated_share_of_training_labels_only(noise: float) -> None:
    clean, noisy = (SparseParity(20, 3, seed=4, label_noise=share) for share in (0.0, noise))
    for stream in STREAMS:
        (x, y), (x_noisy, y_noisy) = clean.draw(EXAMPLES, stream), noisy.draw(EXAMPLES, stream)
        assert torch.equal(x, x_noisy)
        flipped = int((y != y_noisy).sum())
        expected = noise * len(EXAMPLES) if stream == "train" else 0
        assert abs(flipped - expected) <= 4 * math.sqrt(expected * (1 - noise))


def test_noise_flips_the_same_examples_each_time_and_is_independent_of_them() -> None:
    clean, noisy = (SparseParity(20, 3, seed=4, label_noise=share) for share in (0.0, 0.3))
    flips = clean.draw(EXAMPLES)[1] * noisy.draw(EXAMPLES)[1]
    assert torch.equal(flips.flip(0), (clean.draw(EXAMPLES.flip(0))[1] * noisy.draw(EXAMPLES.flip(0))[1]))
    centred = flips - flips.mean()
    x, y = clean.draw(EXAMPLES)
    for signs in (*x.T, y):
        assert z_score(signs * centred / centred.std()) < 4.5


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"n": 0, "k": 1}, "n"),
        ({"n": 2.0, "k": 1}, "n"),
        ({"n": True, "k": 1}, "n"),
        ({"n": 2**20 + 1, "k": 1}, "n"),
        ({"n": 5, "k": 0}, "k"),
        ({"n": 5, "k": 6}, "k"),
        ({"n": 5, "k": 2, "support": [1, 1]}, "support"),
        ({"n": 5, "k": 2, "support": [1, 5]}, "support"),
        ({"n": 5, "k": 2, "support": [-1, 1]}, "support"),
        ({"n": 5, "k": 2, "support": [1]}, "support"),
        ({"n": 5, "k": 2, "support": [1, 2.0]}, "support"),
        ({"n": 5, "k": 2, "seed": -1}, "seed"),
        ({"n": 5, "k": 2, "seed": 2**64}, "seed"),
        ({"n": 5, "k": 2, "label_noise": 0.51}, "label_noise"),
        ({"n": 5, "k": 2, "label_noise": -0.1}, "label_noise"),
        ({"n": 5, "k": 2, "label_noise": math.nan}, "label_noise"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, object], option: str) -> None:
    with pytest.raises(SettingError, match=rf"^{option}=.+: .+") as caught:
        SparseParity(**settings)  # type: ignore[arg-type]
    assert caught.value.option == option


def test_an_unknown_stream_is_named_with_the_nearest() -> None:
    with pytest.raises(SettingError, match="did you mean validation"):
        SparseParity(5, 2).draw(torch.arange(2), "validaton")  # type: ignore[arg-type]


@given(n=st.integers(1, 300), seed=st.integers(0, 2**64 - 1), index=st.integers(0, 2**63 - 1))
def test_inputs_are_the_documented_bits(n: int, seed: int, index: int) -> None:
    for purpose, stream in enumerate(STREAMS):
        x, _ = SparseParity(n, 1, seed=seed).draw(torch.tensor(index), stream)
        assert x.tolist() == bits_reference(seed, index, n, purpose)


def test_a_parity_tells_what_it_is() -> None:
    assert repr(SparseParity(9, 2, [8, 1], seed=5)) == "SparseParity(n=9, k=2, support=[1, 8], seed=5)"
    noisy = SparseParity(9, 2, [1, 8], label_noise=0.25)
    assert repr(noisy) == "SparseParity(n=9, k=2, support=[1, 8], seed=0, label_noise=0.25)"


def test_draws_stay_as_they_are() -> None:
    """Whoever changes these changes every run on record."""
    parity = SparseParity(40, 3, seed=2026, label_noise=0.4)
    assert parity.support == (7, 30, 37)
    assert parity.draw(torch.arange(12))[1].tolist() == [1, -1, 1, -1, -1, 1, 1, -1, -1, -1, -1, -1]
    assert parity.shuffle(8, torch.tensor([0, 5])).tolist() == [[3, 1, 4, 6, 7, 5, 2, 0], [6, 1, 4, 0, 5, 7, 3, 2]]


@given(k=st.integers(1, 12), length=st.integers(1, 30), seed=st.integers(0, 2**64 - 1))
def test_one_index_per_block(k: int, length: int, seed: int) -> None:
    support = SparseParity(k * length, k, seed=seed, one_per_block=True).support
    assert [index // length for index in support] == list(range(k))


def test_indices_within_blocks_are_uniform_and_independent() -> None:
    supports = [SparseParity(12, 3, seed=seed, one_per_block=True).support for seed in range(3200)]
    counts = Counter(supports)
    assert len(counts) == 4**3
    assert chisquare(list(counts.values())).pvalue > 1e-4


def test_blocks_of_unequal_length_are_refused() -> None:
    with pytest.raises(SettingError, match=r"^n=20: must be a multiple of k=3"):
        SparseParity(20, 3, one_per_block=True)


def test_a_given_support_must_have_one_index_per_block() -> None:
    assert SparseParity(21, 3, [20, 0, 7], one_per_block=True).support == (0, 7, 20)
    with pytest.raises(SettingError, match=r"^support=\[0, 1, 20\]: must have one index in each of 3 blocks of 7"):
        SparseParity(21, 3, [0, 1, 20], one_per_block=True)
