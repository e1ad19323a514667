"""A study as a Python object, and the call that runs trials."""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from parity_lightning.api.trial_table import TrialTable
from parity_lightning.cli.executor_options import ExecutorName, ExecutorOptions
from parity_lightning.cli.fit_settings import FitSettings
from parity_lightning.cli.make_runner import MakeRunner
from parity_lightning.cli.quiet import quieten
from parity_lightning.cli.study_progress import run_under_bar
from parity_lightning.engine.library_cache import private_cache
from parity_lightning.errors import SettingError, check_int
from parity_lightning.studies.agenda import MOST_FAILURES
from parity_lightning.studies.cells import Extent, Grid
from parity_lightning.studies.executors import WorkerFailed
from parity_lightning.studies.export import tables_of
from parity_lightning.studies.packs import packs_of
from parity_lightning.studies.store import Store
from parity_lightning.studies.variations import as_text
from parity_lightning.terminal.progress import Rows, no_rows

Config = str | Path | Mapping[str, Any] | Sequence[str | Path]


@dataclass(frozen=True)
class Study:
    """Settings, and how many trials of each.

    Attributes:
        config: A configuration of ``fit``: a YAML file, several of which a later one prevails, or the settings
            themselves, ``{"model": ..., "data": ..., "trainer": ...}``.
        vary: The values of options, ``{"data.n": [10, 20, 30]}``: all combinations are run.
        trials: How many trials of each setting. Trial j is the run of ``fit`` with ``seed_everything`` S+j, S being the
            configuration's seed.
        options: Options of ``fit`` beside the configuration, ``{"model.width": 30}``.
        decided_at: End a setting early once so many of its trials are solved, or once so many no longer can be.

    Example:
        >>> data = {"class_path": "ParityDataModule", "init_args": {"n": 8, "k": 2}}
        >>> study = Study({"model": "MLP", "data": data}, vary={"model.width": [5, 20]}, trials=3)
        >>> len(study)
        6
    """

    config: Config
    vary: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    trials: int = 25
    options: Mapping[str, Any] = field(default_factory=dict)
    decided_at: int | None = None

    def __post_init__(self) -> None:
        check_int("trials", self.trials, at_least=1)
        if self.decided_at is not None:
            check_int("decided_at", self.decided_at, at_least=1, at_most=self.trials)
        for option, values in self.vary.items():
            if isinstance(values, str) or not len(values):
                raise SettingError("vary", f"{{{option!r}: {values!r}}}", "give a list of values for each option")

    def __len__(self) -> int:
        """How many trials there are in all."""
        return len(self._cells) * self.trials

    @property
    def _cells(self) -> Grid:
        return Grid({option: [_plain(value) for value in values] for option, values in self.vary.items()})

    @property
    def _words(self) -> list[str]:
        """What every setting gives to ``fit``."""
        if isinstance(self.config, Mapping):
            words = [f"--{name}={as_text(value)}" for name, value in self.config.items()]
        else:
            files = [self.config] if isinstance(self.config, (str, Path)) else self.config
            words = [f"--config={file}" for file in files]
        return [*words, *(f"--{name}={as_text(_plain(value))}" for name, value in self.options.items())]

    def run(
        self,
        executor: ExecutorName | ExecutorOptions = "embedded",
        *,
        workers: int | None = None,
        store: str | Path | None = None,
        progress: bool = True,
        compiled: bool = True,
    ) -> TrialTable:
        """Runs all trials that are not in the store yet.

        Args:
            executor: Who runs them: ``"embedded"`` is this machine's processes, ``"ray"`` Ray on this machine,
                ``"slurm"`` the SLURM cluster that this machine is of. With options of its own:
                ``ExecutorOptions("ray", address="10.0.0.1:6379", gpus_per_pack=0.5)``.
            workers: How many processes, this one among them; by default one for each core. Others are started after
                some seconds, and import the main module: a script that is run as one must do its work below
                ``if __name__ == "__main__":``.
            store: A file to keep the rows in; called again with it, only what is missing is run. None keeps nothing.
            progress: Whether to show a bar.
            compiled: Whether steps are compiled, where that can be.

        Returns:
            A row for each trial.

        Raises:
            UsageError: If options cannot work.
            SettingError: If the store is of another study, or the executor is not installed.
            WorkerFailed: If a setting fails three times.
        """
        chosen = executor if isinstance(executor, ExecutorOptions) else ExecutorOptions(executor)
        chosen = chosen if workers is None else replace(chosen, workers=workers)
        chosen.check("")
        if chosen.executor == "slurm" and store is None and chosen.spool is None:
            raise SettingError("store", store, "give a file in a folder that all nodes of SLURM see")
        quieten()
        if compiled:
            private_cache()
        planned = FitSettings(self._words, self._cells, compiled)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "study.sqlite" if store is None else Path(store).expanduser().absolute()
            return self._run(planned, path, chosen, progress, compiled)

    def _run(
        self, planned: FitSettings, path: Path, chosen: ExecutorOptions, progress: bool, compiled: bool
    ) -> TrialTable:
        import pyarrow

        extent = Extent(self.trials, planned.first.seed, self.decided_at)
        make_runner = MakeRunner(tuple(self._words), None, chosen.on_a_machine, compiled, parsed=planned.parsed)
        packs = packs_of(each.stack for each in planned.settings)
        store = Store(path, self._cells, planned.settings, extent, "store", varied=planned.columns)
        try:
            if len(store) < store.total:
                bar = _NotebookBar(store.total, progress)
                run_under_bar(store, make_runner, self._cells, packs, chosen.threads, bar, chosen.made(path))
            failed = [error for failures, error in store.failures().values() if failures >= MOST_FAILURES]
            if failed:
                store.retry_failed()
                raise WorkerFailed(f"{len(failed):,} settings failed {MOST_FAILURES} times: {failed[0]}")
            tables = tables_of(planned.settings, extent.first_seed, store.rows(), list(planned.paths.values()))
            return TrialTable(pyarrow.concat_tables(tables), planned.columns, self.trials)
        finally:
            store.close()


def run_trials(
    config: Config,
    trials: int = 25,
    vary: Mapping[str, Sequence[Any]] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    workers: int | None = None,
    store: str | Path | None = None,
    progress: bool = True,
    compiled: bool = True,
) -> TrialTable:
    """Runs trials of a configuration side by side, as ``parity-lightning trials`` does.

    Args:
        config: A configuration of ``fit``, as of `Study`.
        trials: How many trials of each setting, each with its own seed.
        vary: The values of options: all combinations are run.
        options: Options of ``fit`` beside the configuration.
        workers: How many processes, as of `Study.run`.
        store: A file to keep the rows in; None keeps nothing.
        progress: Whether to show a bar.
        compiled: Whether steps are compiled, where that can be.

    Returns:
        A row for each trial; unsolved ones have no ``convergence_time``.

    Raises:
        UsageError: If options cannot work.
        SettingError: If the store is of another study.
        WorkerFailed: If a setting fails three times.

    Example:
        >>> import parity_lightning
        >>> data = {"class_path": "ParityDataModule", "init_args": {"n": 8, "k": 2}}
        >>> table = parity_lightning.run_trials(
        ...     {"model": "MLP", "data": data}, trials=3, vary={"data.n": [6, 8]},
        ...     options={"trainer.accelerator": "cpu", "trainer.max_steps": 400}, progress=False, compiled=False)
        >>> len(table), table["n"], all(table["solved"])
        (6, [6, 6, 6, 8, 8, 8], True)
    """
    study = Study(config, vary or {}, trials, options or {})
    return study.run(workers=workers, store=store, progress=progress, compiled=compiled)


class _NotebookBar:
    """A bar of the notebook; of the terminal, where there is no notebook.

    Args:
        total: How many trials there are.
        shown: Whether to show it.
    """

    def __init__(self, total: int, shown: bool) -> None:
        with warnings.catch_warnings():
            # A notebook without ipywidgets has a plain bar, which needs no warning.
            warnings.filterwarnings("ignore", message="IProgress not found")
            from tqdm.auto import tqdm
        self._bar = tqdm(total=total, desc="trials", unit=" trials", disable=not shown)
        self._is_new = True

    def update(self, done: int, values: Mapping[str, str] | None = None, rows: Rows = no_rows) -> None:
        """Takes note of how many trials are done."""
        if self._is_new:
            # What was there before has no bearing on the speed.
            self._bar.initial = self._bar.n = done
            self._is_new = False
        if values:
            self._bar.set_postfix_str(", ".join(f"{name} {value}" for name, value in values.items()), refresh=False)
        self._bar.update(done - self._bar.n)

    def write(self, text: str) -> None:
        """Prints a line that stays."""
        self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        """Ends it."""
        self._bar.close()


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers of numpy and paths, too."""
    return json.loads(json.dumps(value, default=lambda other: other.item() if hasattr(other, "item") else str(other)))
