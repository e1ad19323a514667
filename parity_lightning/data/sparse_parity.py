"""Sparse parities as pure functions of a seed and an index (Section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Literal, get_args

import torch
from torch import Tensor

from parity_lightning.data.disjoint_blocks import block_length, check_one_per_block
from parity_lightning.data.philox import Key, random_orders, random_words, split
from parity_lightning.errors import SettingError, check_int, nearest

Stream = Literal["train", "validation", "test"]
STREAMS: tuple[Stream, ...] = get_args(Stream)

# The last word of the counter says what random words are for, so that no two uses share one.
_INPUTS = {stream: number for number, stream in enumerate(STREAMS)}
NOISE_PURPOSE = 0x100
_SHUFFLE = 0x200
_SUPPORT = 0x300
_BLOCKS = 0x301


def input_purpose(stream: Stream) -> int:
    """The last word of the counter from which the inputs of a stream are drawn."""
    return _INPUTS[stream]


def draw_inputs(key: Key, index: Tensor, n: int, stream: Stream) -> Tensor:
    """The inputs that stand at the given places of a stream.

    Args:
        key: The seed, split into two words; those of several seeds broadcast with ``index``.
        index: int64 tensor of any shape.
        n: How many bits an input has.
        stream: Of which stream.

    Returns:
        float32 tensor of shape ``index.shape + (n,)``, values -1 and +1.
    """
    return inputs_of(draw_words(key, index, n, stream), n)


def draw_words(key: Key, index: Tensor, n: int, stream: Stream) -> Tensor:
    """The inputs that `draw_inputs` draws, 32 to a word: bit j of an input is bit ``j mod 32`` of word ``j div 32``.

    Returns:
        int64 tensor of shape ``index.shape + (ceil(n / 32),)``; the bits from n on are random, too.
    """
    return random_words(key, index, blocks=-(-n // 128), purpose=_INPUTS[stream])[..., : -(-n // 32)]


def inputs_of(words: Tensor, n: int) -> Tensor:
    """Inputs of shape ``(..., n)`` out of words: a bit b stands for ``(-1)^b``."""
    shifts = torch.arange(32, dtype=torch.int32, device=words.device)
    bits = (words.to(torch.int32).unsqueeze(-1) >> shifts) & 1
    return 1.0 - 2.0 * bits.flatten(-2)[..., :n]


def draw_flips(key: Key, index: Tensor, flip_below: int | Tensor) -> Tensor:
    """Whether label noise flips the labels of the training examples at the given places.

    Args:
        key: As of `draw_inputs`.
        index: int64 tensor of any shape.
        flip_below: The probability of a flip in units of 2^-32; those of several parities broadcast with ``index``.

    Returns:
        bool tensor of the shape of ``index``.
    """
    return random_words(key, index, blocks=1, purpose=NOISE_PURPOSE)[..., 0] < flip_below


class SparseParity:
    """The (n, k)-parity learning problem with a hidden support S.

    Example ``i`` of a stream is a pure function of the seed, the stream and ``i``: nothing is stored, and the same
    example is the same wherever and in whatever order it is drawn. The streams never share random words.

    Inputs are uniform on {-1, +1}^n. Labels are ``chi_S(x) = prod_{i in S} x_i`` (Section 2), each training label
    flipped with probability ``label_noise``; validation and test labels are always clean.

    Args:
        n: How many bits an input has.
        k: How many of them the label depends on, 1 to n.
        support: The support S: k different numbers from 0 to n - 1. By default it is drawn from the seed, all
            k-subsets being equally likely.
        seed: Decides inputs, label noise, the order of a finite sample and, if not given, the support;
            0 to 2^64 - 1.
        label_noise: The probability that a training label is flipped, from 0 to 1/2; with 1/2 labels are random.
        one_per_block: Whether a drawn support has one index in each of k blocks of n/k inputs, uniformly in each, as
            disjoint-PolyNets need it (Section 4.2); k must divide n.

    Raises:
        SettingError: If a setting is out of range.

    Example:
        >>> parity = SparseParity(n=10, k=3, seed=1)
        >>> parity.support
        (2, 6, 7)
        >>> x, y = parity.draw(torch.arange(4))
        >>> x.shape, y.shape
        (torch.Size([4, 10]), torch.Size([4]))
        >>> bool((y == x[:, 2] * x[:, 6] * x[:, 7]).all())
        True
    """

    def __init__(
        self,
        n: int,
        k: int,
        support: Sequence[int] | None = None,
        seed: int = 0,
        label_noise: float = 0.0,
        one_per_block: bool = False,
    ) -> None:
        self.n = check_int("n", n, at_least=1, at_most=2**20)
        self.k = check_int("k", k, at_least=1)
        if self.k > self.n:
            raise SettingError("k", k, f"must be at most n={n}")
        self.seed = check_int("seed", seed, at_least=0)
        if not (isinstance(label_noise, (int, float)) and 0 <= label_noise <= 0.5):
            raise SettingError("label_noise", label_noise, "must be at least 0 and at most 0.5")
        self.label_noise = float(label_noise)
        self.key = split(self.seed)
        self.flip_below = round(self.label_noise * 2**32)
        self._one_per_block = one_per_block
        self._is_drawn = support is None
        if support is not None:
            self.support = self._check_support(support)
            if one_per_block:
                check_one_per_block(self.support, self.n, ", or one_per_block be false")
        else:
            (self.support,) = self._draw_supports([self.seed])

    def __repr__(self) -> str:
        noise = f", label_noise={self.label_noise}" if self.label_noise else ""
        return f"SparseParity(n={self.n}, k={self.k}, support={list(self.support)}, seed={self.seed}{noise})"

    def _draw_supports(self, seeds: Sequence[int]) -> list[tuple[int, ...]]:
        """The supports that some seeds draw."""
        words = torch.tensor([split(seed) for seed in seeds]).T.unsqueeze(-1)
        key = (words[0], words[1])
        if self._one_per_block:
            length = block_length(self.n, self.k)
            first = random_orders(key, length, torch.arange(self.k), purpose=_BLOCKS)[..., 0]
            drawn = first + length * torch.arange(self.k)
        else:
            orders = random_orders(key, self.n, torch.zeros(1, dtype=torch.int64), purpose=_SUPPORT)[:, 0]
            drawn = orders[:, : self.k].sort().values
        return [tuple(support) for support in drawn.tolist()]

    def _check_support(self, support: Sequence[int]) -> tuple[int, ...]:
        shown = list(support)
        try:
            shown = [check_int("support", index, at_least=0, at_most=self.n - 1) for index in shown]
        except SettingError:
            message = f"its indices must be whole numbers from 0 to n-1={self.n - 1}"
            raise SettingError("support", shown, message) from None
        if len(set(shown)) != len(shown):
            raise SettingError("support", shown, "its indices must differ from each other")
        if len(shown) != self.k:
            raise SettingError("support", shown, f"must have k={self.k} indices, it has {len(shown)}")
        return tuple(sorted(shown))

    def with_seeds(self, seeds: Sequence[int]) -> list[SparseParity]:
        """The same problem with other seeds, and with other supports if this one's was drawn.

        Example:
            >>> [parity.support for parity in SparseParity(n=10, k=3).with_seeds([1, 2])]
            [(2, 6, 7), (2, 3, 5)]
            >>> [parity.support for parity in SparseParity(n=10, k=3, support=[0, 1, 2]).with_seeds([1, 2])]
            [(0, 1, 2), (0, 1, 2)]
        """
        supports = self._draw_supports(seeds) if self._is_drawn else [self.support] * len(seeds)
        others = []
        for seed, support in zip(seeds, supports, strict=True):
            # What both have in common has been checked.
            other = copy(self)
            other.seed, other.support = check_int("seed", seed, at_least=0), support
            other.key = split(other.seed)
            others.append(other)
        return others

    def draw(self, index: Tensor, stream: Stream = "train") -> tuple[Tensor, Tensor]:
        """Draws the examples of a stream that stand at the given indices.

        Args:
            index: int64 tensor of any shape, values from 0 to 2^63 - 1; its device is where examples are made.
            stream: ``"train"``, ``"validation"`` or ``"test"``.

        Returns:
            The inputs, float32 of shape ``index.shape + (n,)``, and the labels, float32 of shape ``index.shape``,
            both of values -1 and +1.
        """
        if stream not in _INPUTS:
            raise SettingError("stream", stream, nearest(str(stream), STREAMS))
        x = draw_inputs(self.key, index, self.n, stream)
        y = self.label(x)
        if self.flip_below and stream == "train":
            y = torch.where(draw_flips(self.key, index, self.flip_below), -y, y)
        return x, y

    def label(self, x: Tensor) -> Tensor:
        """The clean label ``chi_S(x)`` of inputs of shape ``(..., n)``; its shape is ``(...)``."""
        return x[..., list(self.support)].prod(-1)

    def shuffle(self, num_samples: int, epochs: Tensor) -> Tensor:
        """The orders in which epochs go through a finite sample, the first ``num_samples`` training examples.

        Args:
            num_samples: The size m of the sample.
            epochs: int64 tensor of shape ``(e,)``: which epochs.

        Returns:
            int64 tensor of shape ``(e, num_samples)``: each row is a permutation of ``0 .. num_samples - 1``.
        """
        return random_orders(self.key, num_samples, epochs, purpose=_SHUFFLE)
