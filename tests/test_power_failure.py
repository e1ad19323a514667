"""What a run has told of survives a power failure: the order of writes, syncs, renames and removals."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import CONFIGS

SOURCE = Path(__file__).with_name("record_writes.c")

needs_preload = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None, reason="needs Linux and a C compiler"
)


class Call(NamedTuple):
    """What a process did to a file."""

    what: str
    path: Path
    to: Path


def faults_of(calls: Sequence[Call]) -> list[str]:
    """What a power failure could undo although later calls rely on it.

    A file is renamed before its content is on disk, or something is removed, or the process ends, while a rename that
    replaces it is not on disk. (Temporary files of SQLite, which it writes anew after a crash, may be removed.)
    """
    dirty: set[Path] = set()
    renamed: dict[Path, Path] = {}
    faults = []
    for what, path, to in calls:
        if what == "write":
            dirty.add(path)
        elif what == "sync":
            dirty.discard(path)
            renamed = {new: folder for new, folder in renamed.items() if folder != path}
        elif what == "rename":
            if path in dirty:
                faults.append(f"{path.name} renamed before it was synced")
            dirty.discard(to)
            renamed[to] = to.parent
        elif what == "unlink":
            dirty.discard(path)
            faults += [f"{path.name} removed before {new.name} was there for good" for new in renamed]
    return faults + [f"{new.name} may be lost with its name" for new in renamed]


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that writes down what a process does."""
    library = tmp_path_factory.mktemp("recorder") / "record_writes.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return library


def calls_of(command: Sequence[str], below: Path, recorder: Path) -> list[Call]:
    """Runs a command and tells what it does to files in a folder."""
    log = recorder.with_name(f"{below.name}-{os.getpid()}.log")
    environment = {
        **os.environ,
        **{"LD_PRELOAD": str(recorder), "RECORD_TO": str(log), "RECORD_BELOW": str(below.resolve())},
    }
    done = subprocess.run(command, env=environment, cwd=below, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = (line.split("\t") for line in log.read_text().splitlines())
    return [Call(what, Path(path), Path(to)) for what, path, to in lines]


def test_faults_are_found() -> None:
    folder, new, old = Path("/f"), Path("/f/new"), Path("/f/old")
    sound = [Call("write", new, Path()), Call("sync", new, Path()), Call("rename", new, old)]
    sound += [Call("sync", folder, Path()), Call("unlink", folder / "journal", Path())]
    assert faults_of(sound) == []
    assert faults_of([*sound[:1], *sound[2:]]) == ["new renamed before it was synced"]
    assert faults_of([*sound[:3], sound[4], sound[3]]) == ["journal removed before old was there for good"]
    assert faults_of(sound[:3]) == ["old may be lost with its name"]


RECORD = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}]
from pathlib import Path
from test_trials_record import file_of, result
file = file_of(Path.cwd().resolve())
written = file.store()
written.add([result(0), result(1)])
written.add([result(number) for number in range(2, 6)])
file.finish(written)
"""


@needs_preload
def test_a_record_of_trials(tmp_path: Path, recorder: Path) -> None:
    calls = calls_of([sys.executable, "-c", RECORD], tmp_path, recorder)
    assert faults_of(calls) == []
    names = [(call.what, call.path.name) for call in calls]
    # Every commit is synced: of the journal's header, and of two lots of rows.
    assert names.count(("sync", "t.parquet.journal-wal")) >= 3
    (replaced,) = (place for place, call in enumerate(calls) if call.what == "rename")
    assert names.index(("unlink", "t.parquet.journal")) > replaced
    # The names of the removed files are gone for good, too.
    assert names[-1] == ("sync", tmp_path.name)


@needs_preload
def test_a_run(tmp_path: Path, recorder: Path) -> None:
    saving = tmp_path / "saving.yaml"
    saving.write_text(
        "trainer: {callbacks: [HiddenProgress, PhaseTransition, RunSummary, ProgressPicture,"
        " {class_path: StepCheckpoint, init_args: {every_n_train_steps: 40}}]}"
    )
    options = ["--data.n=12", "--trainer.max_steps=120", "--trainer.val_check_interval=20", "--trainer.accelerator=cpu"]
    configs = [f"--config={CONFIGS / 'online.yaml'}", f"--config={saving}"]
    calls = calls_of([sys.executable, "-m", "parity_lightning", "fit", *configs, *options], tmp_path, recorder)
    assert faults_of(calls) == []
    renamed = [call.to.name for call in calls if call.what == "rename"]
    assert renamed.count("last.ckpt") >= 3
    assert {"metrics.csv", "summary.json", "progress.png"} <= set(renamed)
    # A checkpoint is there for good only after the rows of metrics before it.
    unsynced = False
    for call in calls:
        if call.path.name == "metrics.csv" and call.what in ("write", "sync"):
            unsynced = call.what == "write"
        assert not (call.to.name == "last.ckpt" and unsynced)
