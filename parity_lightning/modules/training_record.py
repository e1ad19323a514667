"""Losses and errors of training steps since the last evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class TrainingRecord:
    """Sums up the training steps since the last evaluation, on one device.

    Example:
        >>> record = TrainingRecord()
        >>> record.add(torch.tensor([1.0, 0.5]), torch.tensor(3), examples=8)
        >>> record.loss, record.accuracy
        (tensor(0.7500), tensor(0.6250))
    """

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._errors: list[Tensor] = []
        self._examples = 0

    def add(self, losses: Tensor, errors: Tensor, examples: int) -> None:
        """Adds steps.

        Args:
            losses: The loss of each, before its update, of shape ``(steps,)``.
            errors: How many examples of all of them were predicted wrongly, a scalar.
            examples: How many examples they had.
        """
        self._losses.append(losses)
        self._errors.append(errors)
        self._examples += examples

    def clear(self) -> None:
        """Forgets all steps."""
        self._losses.clear()
        self._errors.clear()
        self._examples = 0

    @property
    def is_empty(self) -> bool:
        """Whether no step was added."""
        return not self._losses

    @property
    def loss(self) -> Tensor:
        """The mean loss, a scalar."""
        return torch.cat(self._losses).mean()

    @property
    def accuracy(self) -> Tensor:
        """The share of right predictions, a scalar."""
        return 1 - torch.stack(self._errors).sum().float() / self._examples

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        losses = torch.cat(self._losses).cpu() if self._losses else torch.zeros(0)
        return {"losses": losses, "errors": sum(map(int, self._errors)), "examples": self._examples}

    def load(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Takes over the state of a checkpoint."""
        if len(state["losses"]):
            self._losses = [state["losses"].to(device)]
            self._errors = [torch.tensor(state["errors"], device=device)]
            self._examples = state["examples"]

    def load_share(self, states: Sequence[Mapping[str, Any]], rank: int, devices: int, device: torch.device) -> None:
        """Takes over one device's share of the states of another number of devices, in whole numbers."""
        seen = {name: sum(state[name] for state in states) for name in ("errors", "examples")}
        share: dict[str, Any] = {name: (count + rank) // devices for name, count in seen.items()}
        share["losses"] = torch.stack([state["losses"] for state in states]).mean(0)
        self.load(share, device)
