"""What `fit` costs beside a plain PyTorch loop that does the same training and evaluation.

`fit` is timed twice: with eager steps and with those in C++. What is timed is the second half of every run: all are
warm by then.

Work: configs/online.yaml, (50,3), ReLU width 100, B=32, SGD 0.1, evaluated every 50 steps, all default callbacks, on
one thread. The peers train the same network on fresh random batches; they evaluate 2^13 examples each time, or screen
1,024 first as `fit` does. All run in turn in one process, several rounds; ratios are taken round by round.

    python benchmarks/fit_overhead.py
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from evaluation_clock import Clock
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from parity_lightning.cli import main as parity_lightning
from parity_lightning.nets import TwoLayerMLP, initialize

N, K, WIDTH, BATCH, LR, EVERY, HELD_OUT, SCREEN = 50, 3, 100, 32, 0.1, 50, 2**13, 1024
SUPPORT = [3, 17, 41]


def batch(size: int) -> tuple[Tensor, Tensor]:
    """Random examples, as one would write it."""
    x = torch.randint(0, 2, (size, N)).float() * 2 - 1
    return x, x[:, SUPPORT].prod(-1)


def network() -> nn.Module:
    """The network that everyone trains."""
    net = TwoLayerMLP(N, K, WIDTH)
    initialize(net, "uniform")
    return net


def plain_loop(steps: int, screen: int = HELD_OUT) -> float:
    """Steps per second of a plain loop that evaluates ``screen`` examples and, if all are right, the rest."""
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR)
    x_val, y_val = batch(HELD_OUT)
    clock = Clock()
    for step in range(1, steps + 1):
        x, y = batch(BATCH)
        loss = torch.relu(1 - net(x) * y).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % EVERY == 0:
            with torch.inference_mode():
                errors = int((net(x_val[:screen]) * y_val[:screen] <= 0).sum())
                if errors == 0 and screen < HELD_OUT:
                    errors = int((net(x_val) * y_val <= 0).sum())
                if errors == 0:
                    raise RuntimeError("solved too early to time")
            clock.note(step)
    return clock.rate(steps)


class _Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield batch(BATCH)


class _Data(LightningDataModule):
    def train_dataloader(self) -> DataLoader:  # type: ignore[type-arg]
        return DataLoader(_Stream(), batch_size=None)

    def val_dataloader(self) -> DataLoader:  # type: ignore[type-arg]
        return DataLoader([batch(HELD_OUT)], batch_size=None)  # type: ignore[arg-type]


class _Plain(LightningModule):
    """What one writes on the first day with Lightning."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def training_step(self, data: tuple[Tensor, Tensor]) -> Tensor:
        x, y = data
        loss = torch.relu(1 - self.net(x) * y).mean()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, data: tuple[Tensor, Tensor]) -> None:
        x, y = data
        self.log("val/accuracy", (self.net(x) * y > 0).float().mean(), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=LR)


def lightning_defaults(steps: int) -> float:
    """Steps per second of Lightning with its default logger, checkpoints and progress bar."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, _silence():
        trainer = Trainer(
            callbacks=[clock],
            default_root_dir=folder,
            max_steps=steps,
            val_check_interval=EVERY,
            check_val_every_n_epoch=None,
            accelerator="cpu",
        )
        trainer.fit(_Plain(), datamodule=_Data())
        return clock.rate(steps)


def fit(steps: int, compile_after: str = "null") -> float:
    """Steps per second of ``parity-lightning fit``; the learning rate is next to nothing."""
    config = Path(__file__).parents[1] / "configs" / "online.yaml"
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        parity_lightning(
            [
                "fit",
                "--quiet",
                f"--config={config}",
                f"--trainer.max_steps={steps}",
                f"--trainer.default_root_dir={folder}",
                "--trainer.accelerator=cpu",
                "--model.optimizer.lr=1e-5",
                f"--model.compile_after={compile_after}",
                "--trainer.callbacks+=evaluation_clock.Clock",
                "--allow_code_from=evaluation_clock",
            ]
        )
    assert Clock.latest is not None
    return Clock.latest.rate(steps)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def main() -> None:
    """Times everyone in turn and prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runners: dict[str, Callable[[int], float]] = {
        "fit, all default callbacks, compiled steps": lambda steps: fit(10 * steps, "0"),
        "fit, all default callbacks, eager steps": fit,
        "plain PyTorch loop, evaluating 2^13": plain_loop,
        "plain PyTorch loop, screening 1,024 first": lambda steps: plain_loop(steps, SCREEN),
        "Lightning with its defaults": lightning_defaults,
    }
    for runner in runners.values():
        runner(200)
    rounds = [{name: runner(arguments.steps) for name, runner in runners.items()} for _ in range(arguments.rounds)]
    ours = next(iter(runners))
    print(f"{'median of ' + str(len(rounds)) + ' rounds':<46} {'steps/s':>8}  fit is ... times as fast")
    for name in runners:
        rate = statistics.median(times[name] for times in rounds)
        ratio = sorted(times[ours] / times[name] for times in rounds)
        print(f"{name:<46} {rate:>8,.0f}  {statistics.median(ratio):.2f} ({ratio[0]:.2f} to {ratio[-1]:.2f})")


if __name__ == "__main__":
    main()
