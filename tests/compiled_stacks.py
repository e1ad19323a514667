"""Compiled stacks beside eager ones."""

from __future__ import annotations

import torch
from test_trials_stack import Case, runner_of

from parity_lightning.engine.trial import TrialSpec

DOUBLE = ("--trainer.precision=64", "--data.label_noise=0.1")


def weights_after(case: Case, trials: int, steps: int, compiled: bool) -> tuple[list[list[torch.Tensor]], list[int]]:
    """The weights of each trial of a stack, and its errors."""
    runner = runner_of(case, trials)
    with torch.no_grad():
        for seed in range(trials):
            runner.add(TrialSpec(seed, 0, seed))
        if compiled:
            runner._compile()
            assert runner.note is None
        runner.train(steps)
        errors = runner.stack.errors(0, 1000).tolist()
    return [runner.stack.weights_of(place)[0] for place in range(trials)], errors


def compare_compiled_with_eager(case: Case, trials: int) -> None:
    """Trains both, and expects the same but for rounding."""
    compiled, wrong = weights_after(case, trials, 30, compiled=True)
    eager, wrong_eager = weights_after(case, trials, 30, compiled=False)
    for one, other in zip(compiled, eager, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)
    assert wrong == wrong_eager
