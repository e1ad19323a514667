"""Makes what runs trials of options of ``fit``: a stack if that can be, else one fit after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from parity_lightning.cli.fit_once import fit_once
from parity_lightning.cli.fit_settings import DATA_SEED, command_line, path_of, without_seed
from parity_lightning.cli.quiet import quieten
from parity_lightning.cli.trial_config import TrialConfigCLI
from parity_lightning.engine.native.compiler import find_compiler
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.runner import StackRunner
from parity_lightning.engine.stack_size import default_stack_size
from parity_lightning.engine.trainable import Unstackable
from parity_lightning.engine.trial import TrialResult, TrialSpec
from parity_lightning.engine.trial_config import TrialConfig
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.settings import flat, is_own
from parity_lightning.studies.work import Runner


@dataclass(frozen=True)
class MakeRunner:
    """Makes runners; can be pickled.

    Attributes:
        options: What every cell gives to ``fit``.
        stack_size: How many trials at a time, if that was said.
        workers: How many processes there are.
        compiled: Whether steps are compiled, where that can be.
        trials: How many trials there are to be, as far as is known.
        parsed: Cells that were parsed in this process already, by what they have to be parsed for.
    """

    options: tuple[str, ...]
    stack_size: int | None
    workers: int
    compiled: bool
    trials: int = 0
    parsed: Mapping[str, TrialConfigCLI] = field(default_factory=dict, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "parsed": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __call__(self, cells: Sequence[Cell], worker: int, computed: str | None) -> Runner:
        """Makes the runner of cells that can share a stack.

        Args:
            cells: The cells.
            worker: The number of the worker, which decides its device.
            computed: How earlier rows of theirs were computed.
        """
        quieten()
        try:
            settings, kind = self._settings(cells)
            device = _device(kind, worker)
            stack_size = self.stack_size or default_stack_size(settings[0], device, self.workers, self.trials)
            return StackRunner(settings, stack_size, self.compiled, device, computed)
        except Unstackable as why:
            return _OneByOne([command_line(self.options, cell) for cell in cells], str(why))

    def _settings(self, cells: Sequence[Cell]) -> tuple[list[TrialConfig], str]:
        """The settings of cells, and the kind of device they train on."""
        first = self._parse(cells[0])
        known = flat(first.whole_config())
        made: dict[str, TrialConfig] = {without_seed(cells[0]): first.setting()}
        settings = []
        for cell in cells:
            key = without_seed(cell)
            if key not in made:
                made[key] = self._setting_beside(first, cells[0], cell, known)
            seeds = [cell[name] for name in DATA_SEED if name in cell]
            settings.append(replace(made[key], data_seed=seeds[0]) if seeds else made[key])
        return settings, first.device

    def _parse(self, cell: Cell) -> TrialConfigCLI:
        return self.parsed.get(without_seed(cell)) or TrialConfigCLI(command_line(self.options, cell))

    def _setting_beside(self, first: TrialConfigCLI, parsed: Cell, cell: Cell, known: Mapping[str, Any]) -> TrialConfig:
        """The setting of a cell that shares a stack with one that was parsed."""
        changed = {path_of(option, known): value for option, value in cell.items() if value != parsed[option]}
        if all(path is not None and is_own(path) for path in changed):
            return first.setting_with({str(path): value for path, value in changed.items()})
        # Of two configurations, for example, that differ in no more than a learning rate.
        return self._parse(cell).setting()


def _device(kind: str, worker: int) -> torch.device:
    if kind == "cuda":
        return torch.device("cuda", worker % torch.cuda.device_count())
    return torch.device("cpu")


def _has_compiler() -> bool:
    try:
        find_compiler()
    except NotCompiled:
        return False
    return True


class _OneByOne:
    """Runs trials as fits of their own, for want of a better way.

    Args:
        options: What goes to ``fit``, for each setting.
        why: Why they cannot be stacked.
    """

    def __init__(self, options: Sequence[Sequence[str]], why: str) -> None:
        self._options = options
        self.note: str | None = f"trials run one by one, for {why}"

    def run(self, specs: Iterator[TrialSpec]) -> Iterator[list[TrialResult]]:
        """Runs trials."""
        for spec in specs:
            yield [self._fit(spec)]

    def _fit(self, spec: TrialSpec) -> TrialResult:
        summary = fit_once(self._options[spec.setting], spec.seed)
        names = [name for name in TrialResult._fields if name not in ("number", "support", "computed", "reached")]
        # Not whether this run's steps were compiled: those of a shorter one of the same setting may not be.
        how = "one by one" if _has_compiler() else "one by one, without a compiler"
        values: dict[str, Any] = {name: summary[name] for name in names}
        return TrialResult(
            spec.number,
            tuple(summary["support"]),
            **values,
            reached=tuple(summary["reached"]),
            computed=summary["computed"].replace("fit", how, 1),
        )
