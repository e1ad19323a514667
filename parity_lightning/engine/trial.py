"""A trial: what identifies it, and its result."""

from __future__ import annotations

from typing import NamedTuple

import torch

from parity_lightning.errors import RunError


class TrialSpec(NamedTuple):
    """Identifies a trial to be run.

    Attributes:
        number: Its number among all.
        setting: Which of the settings that share a stack it has.
        seed: Its seed, as of ``fit --seed_everything``.
    """

    number: int
    setting: int
    seed: int


class TrialResult(NamedTuple):
    """The result of a trial; the names mean what they mean in ``summary.json``."""

    number: int
    support: tuple[int, ...]
    data_seed: int
    convergence_time: int | None
    onset: int | None
    steps: int
    val_accuracy: float
    hidden_progress: float | None
    stop_reason: str
    computed: str
    """How its steps were computed, see `computed_by`: other ways round differently."""
    reached: tuple[int | None, ...] = ()
    """The first evaluated steps at which the module's ``accuracy_thresholds`` are reached."""


class MixedComputation(RunError):
    """The rows of one setting would be computed in two ways that round differently."""

    repeatable = False


def check_same_computation(expected: str | None, computed: str, advice: str) -> None:
    """Refuses to compute rows in another way than those that a setting has.

    Args:
        expected: How those were computed; None if there are none.
        computed: How more would be computed here.
        advice: What to do then.

    Raises:
        MixedComputation: If these are two ways.
    """
    if expected not in (None, computed):
        message = (
            f"its rows were computed in another way ({expected}) than here ({computed}), and these round differently"
        )
        raise MixedComputation(f"{message}; {advice}")


def computed_by(steps: str, device: torch.device | None = None) -> str:
    """How trials are computed in this process; where the text is the same, so are the numbers.

    Args:
        steps: The kind of steps, ``"compiled"`` for example.
        device: Where; the CPU by default.

    Example:
        >>> computed_by("compiled").startswith("compiled, torch ")
        True
    """
    if device is not None and device.type == "cuda":
        machine = torch.cuda.get_device_name(device)
    else:
        threads = torch.get_num_threads()
        machine = f"{torch.backends.cpu.get_cpu_capability()}, {threads} {'thread' if threads == 1 else 'threads'}"
    return f"{steps}, torch {torch.__version__}, {machine}"
