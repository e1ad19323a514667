"""What tests share: the command line as a user calls it, and a clean state for each test.

It imports nothing heavy before tests are collected: with ``-n`` they are in other processes than this module is first.
"""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import slurm_cluster
from slurm_cluster import SlurmCluster

from parity_lightning.cli import main

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"

LIBRARIES = "PARITY_LIGHTNING_CACHE"
_MADE_HERE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """All tests of a session, in whichever process, share one folder of compiled functions, empty at first.

    So each function is compiled once. If the variable names a folder already, that one is used.
    """
    if LIBRARIES not in os.environ:
        config.stash[_MADE_HERE] = os.environ[LIBRARIES] = tempfile.mkdtemp(prefix="parity-lightning-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes the folder, at the end of the process that made it."""
    if made := config.stash.get(_MADE_HERE, None):
        del os.environ[LIBRARIES]
        shutil.rmtree(made, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Sets up the process that runs tests."""
    if session.config.getoption("numprocesses", None) and not hasattr(session.config, "workerinput"):
        return
    # Of what is imported now nothing is garbage, and looking for it takes a quarter of the time.
    gc.disable()
    import torch
    from hypothesis import settings

    # Tests run side by side, and their networks are too small for several threads.
    torch.set_num_threads(1)
    # How long an example takes depends on what else the machine does, and decides nothing.
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts first what takes longest, compiling, for nobody could share it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("compiles") is None)


def pytest_collection_finish() -> None:
    """Keeps what was imported out of the garbage collector, which would look through all of it again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips tests that compile where there is no compiler."""
    if item.get_closest_marker("compiles"):
        from parity_lightning.engine.native.compiler import system_compiler

        if system_compiler() is None:
            pytest.skip("there is no C++ compiler")


class Run(NamedTuple):
    """What a fit left behind."""

    folder: Path
    summary: dict[str, Any]
    out: str
    err: str


@pytest.fixture(autouse=True)
def clean_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is sent anywhere, and no test sees another's seed, threads or distributed settings."""
    import torch

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    before = dict(os.environ)
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
    torch.set_num_threads(threads)


@contextmanager
def without_pictures() -> Iterator[None]:
    """Runs and trials draw none: it takes as long as all the rest of short ones."""
    from parity_lightning.callbacks import ProgressPicture
    from parity_lightning.display import trials_picture

    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(ProgressPicture, "finish", lambda *_: None)
        changed.setattr(trials_picture, "draw_trials", lambda path, *_: path)
        yield


@pytest.fixture
def fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Runs ``parity-lightning fit`` in this process on one CPU, on 20 inputs or so, and reads what it left.

    It draws no picture unless it is told to.
    """

    def run(*options: str, config: Path = CONFIGS / "online.yaml", picture: bool = False) -> Run:
        folder = tmp_path / "runs"
        known = set(folder.glob("*"))
        defaults = ["--trainer.accelerator=cpu", f"--trainer.default_root_dir={folder}"]
        if config.parent.name != "architectures":
            defaults.append("--data.n=20")
        with nullcontext() if picture else without_pictures():
            main(["fit", f"--config={config}", *defaults, *options])
        out, err = capsys.readouterr()
        (new,) = set(folder.glob("*")) - known
        return Run(new, json.loads((new / "summary.json").read_text()), out, err)

    return run


@pytest.fixture
def set_pytorch_compiles_from(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the step from which on PyTorch compiles, for a test that cannot wait for 20,000 steps."""

    def set_to(step: int) -> None:
        for module in ("driver", "compilation", "first_compiled_step"):
            monkeypatch.setattr(f"parity_lightning.modules.{module}.PYTORCH_COMPILES_FROM", step)

    return set_to


@pytest.fixture(scope="session")
def slurm_daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A SLURM cluster of this machine's own."""
    if why := slurm_cluster.why_not():
        pytest.skip(why)
    with slurm_cluster.cluster_in(tmp_path_factory.mktemp("slurm") / "cluster", most_tasks=6) as cluster:
        yield cluster


@pytest.fixture
def cluster(slurm_daemons: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:
    """This process is on a machine of that cluster."""
    for name, value in slurm_daemons.environment.items():
        monkeypatch.setenv(name, value)
    return slurm_daemons


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a usage error says: one line, exit 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert "Traceback" not in line
    return line


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A file with a random mistake in it: bits, bytes or a stretch changed, lost or doubled."""
    changed = bytearray(content)
    place, length = chance.randrange(len(changed)), chance.choice([1, 1, 1, 8, 512])
    kind = chance.choice(["bit", "bytes", "zeros", "lost", "doubled", "cut"])
    if kind == "bit":
        changed[place] ^= 1 << chance.randrange(8)
    elif kind == "bytes":
        changed[place : place + length] = chance.randbytes(len(changed[place : place + length]))
    elif kind == "zeros":
        changed[place : place + length] = bytes(len(changed[place : place + length]))
    elif kind == "lost":
        del changed[place : place + length]
    elif kind == "doubled":
        changed[place:place] = changed[place : place + length]
    else:
        del changed[place:]
    return bytes(changed)
