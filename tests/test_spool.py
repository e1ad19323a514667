"""The files between SLURM's jobs and the coordinator: what is torn or damaged is not taken, what is whole always is."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import CONFIGS, complaint, mutated
from hypothesis import given
from hypothesis import strategies as st

from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies.executors.slurm.spool import Batch, Lines, attempts_of, read_lines
from parity_lightning.studies.executors.slurm.task import result_of

LINES = [{"cell": "abc", "seed": 7, "result": {"t": 0.1 + 0.2, "reached": [None, 5]}}, {"note": "ä\n"}, {"end": "all"}]


def test_lines_come_back_as_they_were_written_piece_by_piece(tmp_path: Path) -> None:
    file = Lines(tmp_path, 3)
    offset = 0
    for line in LINES:
        file.write([line])
        found, offset = read_lines(tmp_path / "3.0.jsonl", offset)
        assert found == [line]
    assert read_lines(tmp_path / "3.0.jsonl") == (LINES, offset)
    assert read_lines(tmp_path / "3.0.jsonl", offset) == ([], offset)


def test_a_torn_line_is_not_taken_until_it_is_whole(tmp_path: Path) -> None:
    file = Lines(tmp_path, 0)
    file.write(LINES)
    path, whole = tmp_path / "0.0.jsonl", (tmp_path / "0.0.jsonl").read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        found, offset = read_lines(path)
        assert found == LINES[: sum(end <= length for end in ends)]
        path.write_bytes(whole)
        assert found + read_lines(path, offset)[0] == LINES


@given(st.randoms(use_true_random=False))
def test_a_damaged_line_is_never_taken_for_another(tmp_path_factory: pytest.TempPathFactory, chance: object) -> None:
    folder = tmp_path_factory.mktemp("spool")
    file = Lines(folder, 0)
    file.write(LINES)
    path = folder / "0.0.jsonl"
    path.write_bytes(mutated(path.read_bytes(), chance))  # type: ignore[arg-type]
    assert all(line is None or line in LINES for line in read_lines(path)[0])


def test_each_attempt_has_a_file_of_its_own(tmp_path: Path) -> None:
    first, second = Lines(tmp_path, 1), Lines(tmp_path, 1)
    Lines(tmp_path, 11).write([{"end": "all"}])
    second.write([LINES[0]])
    first.write([LINES[1]])
    assert [path.name for path in attempts_of(tmp_path, 1)] == ["1.0.jsonl", "1.1.jsonl"]
    batch = Batch(tmp_path, [])
    grown = {(each.task, each.attempt): each.lines for each in batch.growth()}
    assert grown == {(1, 0): [LINES[1]], (1, 1): [LINES[0]], (11, 0): [{"end": "all"}]}
    second.write([LINES[2]])
    assert [(each.attempt, each.lines) for each in batch.growth()] == [(1, [LINES[2]])]


def test_batches_are_found_again_and_those_that_were_never_whole_removed(tmp_path: Path) -> None:
    batch = Batch.new(tmp_path / "parity-1", [{"abc": (5, 6)}, {"d": (5,)}])
    (tmp_path / "parity-2").mkdir()
    (tmp_path / "asked").touch()
    (found,) = Batch.left_in(tmp_path)
    assert (found.name, found.tasks) == ("parity-1", [{"abc": [5, 6]}, {"d": [5]}])
    assert not found.is_cancelled
    batch.note_cancelled()
    assert found.is_cancelled
    batch.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["asked"]


def test_a_result_survives_its_line(tmp_path: Path) -> None:
    result = TrialResult(9, (1, 2), 2**63 + 1, 90, None, 100, 1 / 3, float("nan"), "solved", "eager", (None, 5))
    content = result._asdict()
    del content["number"]
    Lines(tmp_path, 0).write([{"cell": "a", "seed": 1, "result": content}])
    (line,), _ = read_lines(tmp_path / "0.0.jsonl")
    assert line is not None
    assert repr(result_of(line, 9)) == repr(result)


def test_what_slurm_cannot_be_asked_for_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    def told(*options: str) -> str:
        return complaint(["sweep", str(CONFIGS / "sweeps" / "first.yaml"), *options], capsys)

    line = told("--executor=slurm", "--partition=gpu")
    assert "--executor=slurm: needs a machine of a SLURM cluster: there is no sbatch, squeue" in line
    assert "--time=x: give minutes" in told("--executor=slurm", "--time=x")
    assert "--time=4:59: a job needs at least 5 minutes" in told("--executor=slurm", "--time=4:59")
    assert "--sbatch=nodes=2: is set by the executor itself" in told("--executor=slurm", "--sbatch=nodes=2")
    assert "--sbatch=account=me: has an option of its own, --account" in told("--executor=slurm", "--sbatch=account=me")
    assert "--sbatch=C=x: give an option of sbatch by its long name" in told("--executor=slurm", "--sbatch=C=x")
    assert "--gpus_per_pack=0.5: SLURM gives a task 1 GPU or none" in told("--executor=slurm", "--gpus_per_pack=0.5")
    assert "--cpus_per_task=0: must be a whole number above 0" in told("--executor=slurm", "--cpus_per_task=0")
    assert "--partition=x: is an option of --executor slurm" in told("--partition=x")
    assert "did you mean --partition" in told("--executor=slurm", "--partitoin=x")
