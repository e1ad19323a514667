"""Sends what a study found to Weights & Biases: one run for each cell, not for each trial."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from parity_lightning.cli.paths import shown_path
from parity_lightning.display.table import short_value
from parity_lightning.errors import RunError, SettingError
from parity_lightning.statistics.survival import quantile_of, solved_share
from parity_lightning.studies.results import Results
from parity_lightning.studies.settings import nested
from parity_lightning.studies.stored_study import StoredStudy

_OPTION = "--to_wandb"


class NotSent(RunError):
    """W&B does not take a run; the text is one line that says why."""


class CellRun(NamedTuple):
    """A cell as W&B gets it.

    Attributes:
        id: The same whenever the cell is sent, so that the run is brought up to date and none is added.
        name: What varies, with its values.
        config: The settings, as they stand in a configuration.
        summary: What came of the trials.
    """

    id: str
    name: str
    config: dict[str, Any]
    summary: dict[str, Any]


class WandbSender(NamedTuple):
    """Sends cells to a project.

    Attributes:
        entity: Whose project it is; None for one's own.
        project: Its name.
        is_offline: Whether runs are only written, for ``wandb sync``.
    """

    entity: str | None
    project: str
    is_offline: bool

    @classmethod
    def of(cls, given: str) -> WandbSender:
        """Checks that runs could be sent.

        Args:
            given: ``PROJECT`` or ``ENTITY/PROJECT``.

        Raises:
            SettingError: If there is no W&B, or one is not logged in.
        """
        entity, _, project = given.strip().rpartition("/")
        if not project or "/" in entity:
            raise SettingError(_OPTION, given, "must be PROJECT or ENTITY/PROJECT")
        try:
            import wandb
        except ImportError:
            raise SettingError(_OPTION, given, "wandb is not installed; pip install wandb") from None
        mode = wandb.setup().settings.mode
        if mode == "disabled":
            raise SettingError(_OPTION, given, "WANDB_MODE=disabled sends nothing; give WANDB_MODE=offline or none")
        is_offline = mode in ("offline", "dryrun")
        if not is_offline and (reason := _why_not_logged_in()) is not None:
            mend = "run `wandb login`, or set WANDB_MODE=offline to write files for `wandb sync`"
            raise SettingError(_OPTION, given, f"W&B: {reason}; {mend}")
        return cls(entity or None, project, is_offline)

    def send(self, path: Path, study: StoredStudy, results: Results) -> str:
        """Sends the cells that have trials; offline, W&B's files go into a folder beside the store.

        Args:
            path: The store.
            study: What it has.
            results: The cells to be sent.

        Returns:
            Where the runs went, in one line.

        Raises:
            NotSent: If W&B does not take one.
        """
        import wandb

        # No lines of W&B's for each run, and nothing of this machine and its files.
        settings = wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True
        )
        group = path.absolute().parent.name if path.stem == "study" else path.stem
        sent, where = 0, f"{self.entity}/{self.project}" if self.entity else self.project
        for cell in cell_runs(study, results):
            try:
                run = wandb.init(
                    entity=self.entity,
                    project=self.project,
                    id=cell.id,
                    name=cell.name,
                    group=group,
                    job_type="setting",
                    config=cell.config,
                    dir=str(path.absolute().parent),
                    resume=None if self.is_offline else "allow",
                    settings=settings,
                )
                run.summary.update(cell.summary)
                where = where if self.is_offline else run.project_url or where
                run.finish()
            except Exception as error:  # W&B's are of many kinds, not all of them its own
                again = "the same command sends all again and doubles none"
                raise NotSent(f"W&B did not take setting {sent + 1:,} ({_in_a_line(error)}); {again}") from None
            sent += 1
        runs = "W&B: 1 run, of one setting," if sent == 1 else f"W&B: {sent:,} runs, one a setting,"
        left_out = len(results.own) - sent
        without = f", {left_out:,} settings without trials left out" if left_out else ""
        if not self.is_offline:
            return f"{runs} went to {where}{without}"
        folder = shown_path(path.absolute().parent / "wandb", path)
        return f"{runs} lie in {folder}{without}; to send: wandb sync {folder}/offline-run-*"


def cell_runs(study: StoredStudy, results: Results) -> Iterator[CellRun]:
    """The cells of results that have trials, as W&B gets them."""
    settings = study.settings
    for number, place in enumerate(results.places):
        times = results.times[number]
        if not len(times):
            continue
        values = ", ".join(f"{name}={short_value(results.value(number, name))}" for name in results.varied)
        config = {**nested(settings[place].values), "first_seed": study.extent.first_seed}
        key = settings[place].key
        run_id = f"{key}-{study.extent.first_seed}"
        yield CellRun(run_id, values or key, config, summary_of(times, study.extent.trials))


def summary_of(times: np.ndarray, planned: int) -> dict[str, Any]:
    """What came of the trials of a cell.

    Args:
        times: Their convergence times, infinite where one was not solved.
        planned: How many trials the cell is to have.

    Returns:
        Counts, the share solved and the censored median of the convergence time, both with 95 % intervals; None for a
        time that is not reached.

    Example:
        >>> found = summary_of(np.array([100.0, 200.0, np.inf, np.inf, np.inf]), planned=10)
        >>> found["trials"], found["planned_trials"], found["solved_trials"], found["solved_share"]
        (5, 10, 2, 0.4)
        >>> found["median_convergence_time"] is None
        True
    """
    share, median = solved_share(times), quantile_of(times)
    return {
        "trials": len(times),
        "planned_trials": planned,
        "solved_trials": int(np.isfinite(times).sum()),
        "solved_share": share.value,
        "solved_share_low": share.low,
        "solved_share_high": share.high,
        **{
            f"median_convergence_time{end}": time if math.isfinite(time) else None
            for end, time in (("", median.value), ("_low", median.low), ("_high", median.high))
        },
    }


def _why_not_logged_in() -> str | None:
    """Why W&B lets nobody in; None if it does."""
    import wandb

    try:
        try:
            is_in = wandb.login(prompt=False)
        except TypeError:
            # Earlier versions ask, where there is a terminal.
            is_in = wandb.login()
    except wandb.Error as error:
        return _in_a_line(error)
    return None if is_in else "not logged in"


def _in_a_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200].rstrip(".")
