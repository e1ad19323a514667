"""Philox4x32-10 against its published known answers, and an independent implementation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import ONES, philox_reference
from scipy.stats import chisquare

from parity_lightning.data.philox import philox, random_orders, random_words, split

# kat_vectors of Random123, the authors' own distribution: counter, key, answer.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_known_answers(counter: tuple[int, ...], key: tuple[int, int], answer: tuple[int, ...]) -> None:
    c0, c1, c2, c3 = (torch.tensor(word) for word in counter)
    assert tuple(int(word) for word in philox((c0, c1, c2, c3), key)) == answer


@given(st.tuples(*[st.integers(0, ONES)] * 4), st.tuples(*[st.integers(0, ONES)] * 2))
def test_agrees_with_unbounded_integers(counter: tuple[int, ...], key: tuple[int, int]) -> None:
    c0, c1, c2, c3 = (torch.tensor([word]) for word in counter)
    assert tuple(int(word) for word in philox((c0, c1, c2, c3), key)) == philox_reference(counter, key)


def test_keys_broadcast() -> None:
    keys = torch.arange(3), torch.arange(3) + 7
    zero = torch.zeros(1, dtype=torch.int64)
    together = philox((zero, zero, zero, zero), keys)
    for number in range(3):
        assert [int(word[number]) for word in together] == list(philox_reference((0, 0, 0, 0), (number, number + 7)))
    # One index for each seed, and several.
    for index in (torch.arange(3), torch.arange(6).reshape(2, 3)):
        words = random_words(keys, index, blocks=1, purpose=4)
        for place in range(3):
            alone = random_words((place, place + 7), index[..., place], blocks=1, purpose=4)
            assert torch.equal(words[..., place, :], alone)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**64 - 1), st.integers(0, ONES))
def test_words_are_those_of_the_documented_counter(index: int, seed: int, purpose: int) -> None:
    words = random_words(split(seed), torch.tensor([index]), blocks=2, purpose=purpose)
    expected = [
        *philox_reference((*split(index), 0, purpose), split(seed)),
        *philox_reference((*split(index), 1, purpose), split(seed)),
    ]
    assert words.tolist() == [expected]


@given(st.integers(1, 50), st.integers(0, 2**40), st.integers(0, 2**64 - 1))
def test_orders_are_permutations_and_functions_of_their_epoch(count: int, epoch: int, seed: int) -> None:
    epochs = torch.tensor([epoch, epoch + 1])
    orders = random_orders(split(seed), count, epochs, purpose=1)
    assert orders.sort(dim=-1).values.tolist() == [list(range(count))] * 2
    assert torch.equal(random_orders(split(seed), count, epochs[1:], purpose=1)[0], orders[1])


def test_all_orders_are_equally_likely() -> None:
    orders = random_orders(split(5), 4, torch.arange(24_000), purpose=9)
    _, counts = torch.unique(orders, dim=0, return_counts=True)
    assert len(counts) == 24
    assert chisquare(counts.numpy()).pvalue > 1e-3
