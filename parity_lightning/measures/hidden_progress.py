"""How far the first layer has moved (Section 5, "A progress measure for parity")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Movement(NamedTuple):
    """How far the first layer has moved, coordinate by coordinate; see `movement_of`."""

    hidden_progress: float
    relevant: float
    relevant_min: float
    irrelevant: float
    found: int
    recovered: list[int]


def movement_of(weight: Tensor, initial: Tensor, support: tuple[int, ...]) -> Movement:
    """Measures how far a first layer has moved from where it began.

    The movement of coordinate ``i`` is ``max_j |w_ji(t) - w_ji(0)|``, over the units j that read it.

    Args:
        weight: The first layer now, of shape ``(..., n)``.
        initial: The first layer at the start, of the same shape.
        support: The hidden support S.

    Returns:
        ``hidden_progress``, the paper's ``rho(w_0:t) = ||w_t - w_0||_inf`` over the whole layer, in units of
        weight; ``relevant`` and ``relevant_min``, the largest and the smallest movement over S; ``irrelevant``, the
        largest off S (0 if S is everything); ``recovered``, the k coordinates that moved most, sorted; ``found``, how
        many of them are in S.

    Example:
        >>> movement_of(torch.tensor([[0.5, 0.0, -2.0]]), torch.zeros(1, 3), support=(0, 2))
        Movement(hidden_progress=2.0, relevant=2.0, relevant_min=0.5, irrelevant=0.0, found=2, recovered=[0, 2])
    """
    moved = (weight.detach() - initial).abs().reshape(-1, weight.shape[-1]).amax(0)
    is_relevant = torch.zeros_like(moved, dtype=torch.bool)
    is_relevant[list(support)] = True
    relevant, irrelevant = moved[is_relevant], moved[~is_relevant]
    # NaN counts as the largest: after divergence the coordinates are arbitrary anyway.
    recovered = sorted(moved.topk(len(support)).indices.tolist())
    largest_irrelevant = irrelevant.amax() if len(irrelevant) else torch.zeros_like(moved[0])
    most, strongest, weakest, other = torch.stack(
        [moved.amax(), relevant.amax(), relevant.amin(), largest_irrelevant]
    ).tolist()
    return Movement(most, strongest, weakest, other, len(set(recovered) & set(support)), recovered)
