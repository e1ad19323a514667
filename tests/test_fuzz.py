"""Whatever is typed, a run starts or is refused in one line, and a refused one leaves nothing behind."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CONFIGS
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from parity_lightning.cli import main
from parity_lightning.cli.refusals import UNEXPLAINED

BASES = sorted(CONFIGS.glob("*.yaml")) + [
    CONFIGS / "architectures" / f"{name}.yaml" for name in ("ii", "v", "x", "xiv", "xv", "disjoint-polynet")
]

# What decides how much is to be computed is varied with care: whatever is accepted is run.
_VALUES = """
-1 0 1 2 3 7 20 21 0.5 1e-3 1.0 -0.1 0.49 nan inf -inf 1e400 9223372036854775808 1111111111111111111111111111111111
null true false abc relu MLP é✓ ~ None %s {n} ${n} \\ {a:1} [1,2,3] [0,0,1] :: [ ] { [1, [[0]] [] {} &a *a
!!python/name:os os.system torch.optim.SGD Adam torch.nn.Linear parity_lightning.MLP no.such.Class builtins.int
"""
VALUES = [*_VALUES.split(), "", " ", "a b", "{a: 1}", ": :"]

_OPTIONS = """
data data.n data.k data.support data.batch_size data.num_samples data.label_noise data.seed data.num_workers model
model.width model.activation model.loss model.initialization model.param_groups model.val_screen_size
model.compile_after model.optimizer model.optimizer.lr model.optimizer.momentum model.lr_scheduler model.n model.k
model.degree model.d_emb model.heads model.optimizer.init_args.nothing trainer trainer.val_check_interval
trainer.precision trainer.accelerator trainer.gradient_clip_val trainer.callbacks trainer.logger
trainer.limit_val_batches trainer.min_steps trainer.benchmark trainer.deterministic trainer.plugins trainer.profiler
seed_everything ckpt_path resume config nothing trainer.nothing Data.n data..n -
"""
OPTIONS = _OPTIONS.split()


def texts() -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(VALUES), st.integers(-50, 50).map(str), st.text(max_size=6))


def command_lines() -> st.SearchStrategy[list[str]]:
    """Options with and without a value, in both ways of writing."""
    option = st.one_of(st.sampled_from(OPTIONS), st.text("abcdefgn._-", max_size=8))
    sound = "data.k=2 model.width=7 data.batch_size=3 model.loss=square data.label_noise=0.1 trainer.precision=64"
    one = st.one_of(
        st.sampled_from([[f"--{option}"] for option in sound.split()]),
        st.builds(lambda name, value: [f"--{name}={value}"], option, texts()),
        st.builds(lambda name, value: [f"--{name}", value], option, texts()),
        st.builds(lambda name: [f"--{name}"], option),
        texts().map(lambda text: [text]),
    )
    return st.lists(one, max_size=3).map(lambda options: [word for words in options for word in words])


def config_files() -> st.SearchStrategy[str | None]:
    """YAML of the right shape with odd values in it, and texts that are none."""
    value: st.SearchStrategy[Any] = st.one_of(
        texts(), st.none(), st.booleans(), st.integers(-3, 30), st.floats(), st.lists(st.integers(0, 9), max_size=3)
    )
    section = st.dictionaries(
        st.sampled_from(["class_path", "init_args", "n", "k", "width", "loss", "lr", "callbacks", "precision", "x"]),
        st.one_of(value, st.dictionaries(st.sampled_from(["n", "k", "loss", "lr", "class_path"]), value, max_size=2)),
        max_size=3,
    )
    shaped = st.dictionaries(
        st.sampled_from(["model", "data", "seed_everything", "ckpt_path", "nothing"]),
        st.one_of(section, value),
        max_size=2,
    ).map(lambda content: yaml.safe_dump(content, allow_unicode=True))
    return st.one_of(*[st.none()] * 4, shaped, st.text(max_size=20))


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raises if something takes longer."""

    def too_late(*_: Any) -> None:
        raise TimeoutError(f"not done within {seconds} s")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def inside(folder: str) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def check(base: Path | None, file: str | None, options: list[str]) -> str:
    """Runs a command line and checks how it ends; returns whether it was run or refused."""
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder, inside(folder):
        arguments = ["fit"] if base is None else ["fit", f"--config={base}"]
        if file is not None:
            given_file = Path(folder) / "given.yaml"
            given_file.write_text(file, encoding="utf-8", errors="replace")
            arguments.append(f"--config={given_file}")
        limits = ["--trainer.max_steps=2", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
        small = ["--data.n=20"] if base is None or base.parent.name != "architectures" else []
        arguments += [*limits, *small, *options]
        note(f"arguments: {arguments}")
        before = set(Path(folder).rglob("*"))
        out, err = io.StringIO(), io.StringIO()
        try:
            with within(60), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main(arguments)
            status: Any = 0
        except SystemExit as ended:
            status = ended.code or 0
        finally:
            os.environ.clear()
            os.environ.update(environment)
        note(f"said: {err.getvalue()[-2000:]}")
        assert status in (0, 2), f"exit status {status}"
        assert "Traceback" not in err.getvalue()
        if status == 2:
            (line,) = err.getvalue().splitlines()
            assert line.startswith("parity-lightning fit: error: ")
            # A value is repeated as it was given.
            assert not LIBRARY_WORDS.search(line.replace("'class_path'", ""))
            assert set(Path(folder).rglob("*")) == before
    return "refused" if status == 2 else "run"


# How jsonargparse words its refusals; ours are made of the settings themselves.
LIBRARY_WORDS = re.compile("Parser key|Expected type|Subtypes|<class|class_path|" + UNEXPLAINED)


class Count:
    """How many command lines were run, and how many refused."""

    def __init__(self) -> None:
        self.counts = {"run": 0, "refused": 0}

    def __call__(self, base: Path | None, file: str | None, options: list[str]) -> None:
        """Checks one."""
        self.counts[check(base, file, options)] += 1


def fuzz(examples: int, derandomize: bool) -> dict[str, int]:
    count = Count()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=derandomize,
        database=None,
        suppress_health_check=list(HealthCheck),
        # Without making a failing one smaller, which takes minutes.
        phases=[Phase.generate],
    )
    @given(base=st.one_of(st.sampled_from(BASES), st.none()), file=config_files(), options=command_lines())
    def one(base: Path | None, file: str | None, options: list[str]) -> None:
        count(base, file, options)

    one()
    return count.counts


def test_thirty_command_lines() -> None:
    counts = fuzz(30, derandomize=True)
    assert min(counts.values()) > 2


@pytest.mark.slow
def test_two_thousand_command_lines() -> None:
    counts = fuzz(2000, derandomize=False)
    print(counts)
    assert min(counts.values()) > 50
