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


SAVING = """
trainer: {callbacks: [HiddenProgress, PhaseTransition, RunSummary, ProgressPicture,
  {class_path: StepCheckpoint, init_args: {every_n_train_steps: 40}}]}
"""

# Both in one process, which takes longer to start than all it does.
BOTH = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}]
from pathlib import Path
from parity_lightning.cli import main
main(["fit", *sys.argv[1:]])
from test_trials_record import file_of, result
file = file_of(Path("record").resolve())
written = file.store()
written.add([result(0), result(1)])
written.add([result(number) for number in range(2, 6)])
file.finish(written)
"""


@pytest.fixture(scope="module")
def calls(recorder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Call]]:
    """What a process does to files that trains, and then writes a record of trials; of each of the two."""
    below = tmp_path_factory.mktemp("written").resolve()
    for name in ("run", "record"):
        (below / name).mkdir()
    (below / "saving.yaml").write_text(SAVING)
    configs = [f"--config={CONFIGS / 'online.yaml'}", "--config=saving.yaml", "--trainer.default_root_dir=run"]
    options = ["--data.n=12", "--trainer.max_steps=120", "--trainer.val_check_interval=20", "--trainer.accelerator=cpu"]
    done = calls_of([sys.executable, "-c", BOTH, *configs, *options], below, recorder)
    return {name: [call for call in done if call.path.is_relative_to(below / name)] for name in ("run", "record")}


@needs_preload
def test_a_record_of_trials(calls: dict[str, list[Call]]) -> None:
    assert faults_of(calls["record"]) == []
    names = [(call.what, call.path.name) for call in calls["record"]]
    # Every commit is synced: of the journal's header, and of two lots of rows.
    assert names.count(("sync", "t.parquet.journal-wal")) >= 3
    (replaced,) = (place for place, call in enumerate(calls["record"]) if call.what == "rename")
    assert names.index(("unlink", "t.parquet.journal")) > replaced
    # The names of the removed files are gone for good, too.
    assert names[-1] == ("sync", "record")


@needs_preload
def test_a_run(calls: dict[str, list[Call]]) -> None:
    assert faults_of(calls["run"]) == []
    renamed = [call.to.name for call in calls["run"] if call.what == "rename"]
    assert renamed.count("last.ckpt") >= 3
    assert {"metrics.csv", "summary.json", "progress.png"} <= set(renamed)
    # A checkpoint is there for good only after the rows of metrics before it.
    unsynced = False
    for call in calls["run"]:
        if call.path.name == "metrics.csv" and call.what in ("write", "sync"):
            unsynced = call.what == "write"
        assert not (call.to.name == "last.ckpt" and unsynced)
