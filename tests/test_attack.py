"""Attacks on what is kept on disk, by the hundred; ``make attack`` runs them and prints what held.

The short forms of all of them are in the other test files.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import torch
from conftest import CONFIGS, Run, mutated
from processes import FRESH, fresh
from test_library_cache import needs_root
from test_trials_record import file_of, missing, record, result

from parity_lightning.engine.compiled import compile_stacked
from parity_lightning.engine.library_cache import is_whole, private_cache
from parity_lightning.errors import SettingError
from parity_lightning.run_dir.checkpoint_file import DamagedCheckpoint, UnsafeCheckpoint, read_checkpoint

pytestmark = pytest.mark.slow

MUTATIONS = 1000

COMMON = [f"--config={CONFIGS / 'online.yaml'}", "--trainer.accelerator=cpu"]
TRIALS = ["trials", *COMMON, "--data.n=10", "--data.k=2", "--model.width=12", "--trainer.val_check_interval=10"]

# A network without a closed form, whose steps PyTorch compiles.
TRACED = [
    *("trials", f"--config={CONFIGS / 'architectures' / 'disjoint-polynet.yaml'}", "--trainer.accelerator=cpu"),
    *("--trials=6", "--trainer.val_check_interval=10"),
]


@pytest.fixture(scope="module")
def told() -> Iterator[Callable[..., None]]:
    """Takes rows of the table of attacks, and prints it in the end."""
    rows = [("attack", "tried", "held", "how")]
    yield lambda *row: rows.append(tuple(map(str, row)))
    rows.insert(1, tuple("---" for _ in rows[0]))
    print("\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows))


class Count:
    """Counts what came of attacks; anything else than these two is a failure."""

    def __init__(self) -> None:
        self.refused = self.harmless = 0

    def __str__(self) -> str:
        return f"{self.refused:,} refused, {self.harmless:,} without effect"


def attack(content: bytes, act: Callable[[bytes], bool], seconds: float = 20) -> Count:
    """Does something with mutated files; it tells whether they were refused."""
    chance, count = random.Random(0), Count()
    for number in range(MUTATIONS):
        began = time.monotonic()
        changed = mutated(content, chance)
        if act(changed):
            count.refused += 1
        else:
            count.harmless += 1
        assert time.monotonic() - began < seconds, f"mutation {number} hangs"
    return count


def content_of(checkpoint: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(checkpoint, file)
    return file.getvalue()


def test_mutated_checkpoints(fit: Callable[..., Run], tmp_path: Path, told: Callable[..., None]) -> None:
    path = fit("--trainer.max_steps=100", "--model.optimizer.momentum=0.5").folder / "checkpoints" / "last.ckpt"
    sound, file = content_of(read_checkpoint(path)), tmp_path / "changed.ckpt"

    def is_refused(changed: bytes) -> bool:
        file.write_bytes(changed)
        try:
            content = read_checkpoint(file)
        except (DamagedCheckpoint, UnsafeCheckpoint):
            return True
        assert content_of(content) == sound
        return False

    told("a checkpoint with a random mistake", MUTATIONS, MUTATIONS, attack(path.read_bytes(), is_refused))


def test_mutated_journals(tmp_path: Path, told: Callable[..., None]) -> None:
    first = record(tmp_path, trials=50)
    first.add([result(number, None if number % 3 else number + 1) for number in range(80)])
    first.close()
    journal = tmp_path / "t.parquet.journal"
    again = record(tmp_path, trials=50)
    sound = {(place, row["trial"]): row for place, row in again.rows()}
    again.close()
    assert len(sound) == 80

    def is_refused(changed: bytes) -> bool:
        for path in tmp_path.iterdir():
            path.unlink()
        journal.write_bytes(changed)
        try:
            again = record(tmp_path, trials=50)
        except SettingError:
            return True
        rows = {(place, row["trial"]): row for place, row in again.rows()}
        absent = set(missing(again))
        again.close()
        assert rows.items() <= sound.items()
        assert absent == set(range(100)) - {50 * place + trial for place, trial in rows}
        return False

    content = journal.read_bytes()
    told("a journal with a random mistake", MUTATIONS, MUTATIONS, attack(content, is_refused))


def test_mutated_parquet_files(tmp_path: Path, told: Callable[..., None]) -> None:
    file = file_of(tmp_path, trials=50)
    first = file.store()
    first.add([result(number, None if number % 3 else number + 1) for number in range(100)])
    file.finish(first)
    path = tmp_path / "t.parquet"
    sound = record(tmp_path, trials=50).convergence_times().tobytes()

    def is_refused(changed: bytes) -> bool:
        path.write_bytes(changed)
        try:
            again = record(tmp_path, trials=50)
        except SettingError:
            return True
        assert again.convergence_times().tobytes() == sound
        return False

    told("a Parquet file with a random mistake", MUTATIONS, MUTATIONS, attack(path.read_bytes(), is_refused))


def squared(x: torch.Tensor) -> tuple[torch.Tensor]:
    return (x * x,)


@pytest.mark.compiles
def test_mutated_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Callable[..., None]) -> None:
    monkeypatch.setenv("PARITY_LIGHTNING_CACHE", str(tmp_path / "cache"))
    given = torch.arange(6.0).reshape(2, 3)
    compile_stacked(squared, [given])
    (library,) = (tmp_path / "cache").glob("*.pt2")

    def is_refused(changed: bytes) -> bool:
        (file := tmp_path / "changed.pt2").write_bytes(changed)
        if not is_whole(file):
            return True
        with suppress(RuntimeError):
            # What cannot be loaded is built again, as what is not whole.
            run = torch._inductor.aoti_load_package(str(file)).loader.run
            assert torch.equal(run([given])[0], given * given)
            return False
        return True

    told("a compiled library with a random mistake", MUTATIONS, MUTATIONS, attack(library.read_bytes(), is_refused))


def start(arguments: Sequence[str], cache: Path, log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PARITY_LIGHTNING_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    with log.open("ab") as file:
        command = [sys.executable, "-m", "parity_lightning", *arguments]
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)


def rows_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of trials that nobody disturbs."""
    where = tmp_path_factory.mktemp("undisturbed")
    assert start([*TRACED, f"--output={where / 't.parquet'}"], where / "cache", where / "log").wait() == 0
    rows = rows_of(where / "t.parquet")
    assert rows[0]["computed"].startswith("compiled, ")
    return rows


def is_running(name: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if path.read_text().strip() == name:
                return True
    return False


PHASES: dict[str, Callable[[Path], bool]] = {
    "tracing": lambda cache: any(cache.glob("*-building-*")),
    "writing C++": lambda cache: any(cache.rglob("*.cpp")),
    "compiling C++": lambda cache: is_running("cc1plus"),
    "linking": lambda cache: is_running("collect2") or any(cache.glob("*-building-*/**/*.so")),
    "packing": lambda cache: any(cache.glob("*.pt2")) or any(cache.rglob("new.pt2")),
    "the second function": lambda cache: any(cache.glob("*.pt2")) and any(cache.glob("*-building-*")),
}


@pytest.mark.compiles
@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are looked up in /proc")
def test_kills_while_a_cold_cache_is_filled(
    undisturbed: list[dict[str, Any]], tmp_path: Path, told: Callable[..., None]
) -> None:
    chance, kills = random.Random(0), 0
    for phase, is_reached in PHASES.items():
        where = tmp_path / phase.replace(" ", "-")
        where.mkdir()
        arguments = [*TRACED, f"--output={where / 't.parquet'}"]
        for _ in range(3):
            process = start(arguments, where / "cache", where / "log")
            while process.poll() is None and not is_reached(where / "cache"):
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.5))
            if process.poll() is None:
                # The process alone: its compiler goes on, as after the out-of-memory killer.
                chance.choice([os.kill, os.killpg])(process.pid, signal.SIGKILL)
                kills += 1
            process.wait()
        assert start(arguments, where / "cache", where / "log").wait(600) == 0, (where / "log").read_text()
        assert rows_of(where / "t.parquet") == undisturbed, phase
        assert not list((where / "cache").glob("*-building-*"))
    assert kills >= 12
    told(f"SIGKILL during a cold compile ({', '.join(PHASES)})", kills, kills, "same rows, nothing left over")


@pytest.mark.compiles
def test_two_processes_fill_one_cold_cache(
    undisturbed: list[dict[str, Any]], tmp_path: Path, told: Callable[..., None]
) -> None:
    both = [
        start([*TRACED, f"--output={tmp_path / name}.parquet"], tmp_path / "cache", tmp_path / name)
        for name in ("a", "b")
    ]
    assert [process.wait(600) for process in both] == [0, 0]
    assert rows_of(tmp_path / "a.parquet") == rows_of(tmp_path / "b.parquet") == undisturbed
    said = (tmp_path / "a").read_text() + (tmp_path / "b").read_text()
    assert said.count("compiling for this network") == 2
    told("two processes on one cold cache", 1, 1, "each function built once, same rows")


def as_nobody(cache: Path, answer: Any) -> None:
    os.environ["PARITY_LIGHTNING_CACHE"] = str(cache)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    try:
        private_cache()
        answer.put("used")
    except SettingError as error:
        answer.put(str(error))


@needs_root
def test_two_users_on_one_cache(tmp_path: Path, told: Callable[..., None]) -> None:
    shared = Path("/tmp") / f"parity-lightning-attack-{os.getpid()}"
    tried = 0
    for owner, mode in ((0, 0o755), (0, 0o777), (65534, 0o755), (65534, 0o777)):
        shared.mkdir()
        os.chown(shared, owner, owner)
        shared.chmod(mode)
        for user in (0, 65534):
            if user == 0:
                os.environ["PARITY_LIGHTNING_CACHE"] = str(shared)
                try:
                    private_cache()
                    said = "used"
                except SettingError as error:
                    said = str(error)
            else:
                answer = FRESH.Queue()
                process = fresh(as_nobody, shared, answer)
                said = answer.get(timeout=60)
                process.join()
            tried += 1
            if user == owner and mode == 0o755:
                assert said == "used"
            else:
                assert "belongs to another user" in said or "others can write" in said
        shared.rmdir()
    told("a cache of another user, or that another can write to", tried, tried, "used by its owner alone")


@contextmanager
def small_disk(where: Path, mebibytes: int) -> Iterator[Path]:
    """A file system of its own, of this size."""
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", str(where)], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


def fill(disk: Path, but: int) -> Path:
    """Fills a disk but for so many KiB."""
    filler = disk / "filler"
    room = shutil.disk_usage(disk).free - but * 1024
    filler.write_bytes(bytes(max(room, 0)))
    return filler


def ends_in_a_line(arguments: Sequence[str], cache: Path, log: Path) -> None:
    """Runs a command on a full disk."""
    assert start(arguments, cache, log).wait(300) in (1, 2), log.read_text()
    said = log.read_text()
    assert "Traceback" not in said, said
    assert any(word in said for word in ("No space left", "disk is full", "disk I/O error")), said
    log.unlink()


@needs_root
@pytest.mark.parametrize("mebibytes", [1, 5, 20])
def test_a_disk_that_is_full(
    mebibytes: int, undisturbed: list[dict[str, Any]], tmp_path: Path, told: Callable[..., None]
) -> None:
    log, cache, tried = tmp_path / "log", tmp_path / "cache", 0
    eager = [argument for argument in TRIALS if "n=10" not in argument]
    with small_disk(tmp_path / "disk", mebibytes) as disk:
        fit = ["fit", *COMMON, "--data.n=20", "--trainer.max_steps=600", "--data.k=4"]
        commands = {
            "fit": [*fit, f"--trainer.default_root_dir={disk / 'runs'}", "--model.width=300"],
            "trials": [*eager, "--trials=400", "--compile_after=null", f"--output={disk / 't.parquet'}", "--workers=1"],
            "theory": ["theory", "fourier", f"--runs={disk / 'theory'}"],
        }
        for name, command in commands.items():
            for room in (0, 4, 40) if name != "fit" else (0, 40, 120):
                filler = fill(disk, room)
                ends_in_a_line(command, cache, log)
                tried += 1
                filler.unlink()
            if name == "trials":
                assert not Path(f"{disk / 't.parquet'}.journal.lock").exists()
            again = [*command, "--resume=auto"] if name == "fit" else command
            assert start(again, cache, log).wait(300) == 0, log.read_text()
            log.unlink()
            for path in (disk / "runs", disk / "theory"):
                shutil.rmtree(path, ignore_errors=True)
        # Room for a library's beginning, then elsewhere for all of it.
        compiled = [*TRACED, f"--output={tmp_path / 'compiled.parquet'}"]
        fill(disk, 100 * mebibytes)
        ends_in_a_line(compiled, disk / "cache", log)
        tried += 1
        assert start(compiled, cache, log).wait(600) == 0, log.read_text()
        assert rows_of(tmp_path / "compiled.parquet") == undisturbed
    told(f"a disk of {mebibytes} MiB filled during fit, trials, theory, compiling", tried, tried, "one line; goes on")
