"""What backpropagation keeps of what is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


class KeptTensor(NamedTuple):
    """The size of a tensor that backpropagation keeps.

    Attributes:
        numbers: How many numbers it has.
        bytes: How many bytes these take.
    """

    numbers: int
    bytes: int


@contextmanager
def kept_tensors(parameters: Iterable[Tensor]) -> Iterator[list[KeptTensor]]:
    """A context that lists what backpropagation keeps of what is computed within, once it ends.

    Args:
        parameters: The weights, which do not count.

    Example:
        >>> layer = torch.nn.Linear(5, 7)
        >>> with kept_tensors(layer.parameters()) as kept:
        ...     _ = layer(torch.ones(3, 5)).sigmoid()
        >>> [tensor.numbers for tensor in kept]
        [15, 21]
    """
    found: list[KeptTensor] = []
    sizes: dict[int, KeptTensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        size = KeptTensor(tensor.numel(), tensor.numel() * tensor.element_size())
        # A tensor and its first part begin at the same place.
        sizes[tensor.data_ptr()] = max(size, sizes.get(tensor.data_ptr(), size))
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield found
    own = {parameter.data_ptr() for parameter in parameters}
    found += [size for place, size in sizes.items() if place not in own]
