"""The store of a sweep on the page."""

from __future__ import annotations

import shlex
from pathlib import Path
from tempfile import TemporaryDirectory

from parity_lightning.report.downloads import MOST_BYTES, Download
from parity_lightning.report.markup import Markup
from parity_lightning.report.study_section import StudySection, repeat_or
from parity_lightning.studies.export import tables_of, write_table
from parity_lightning.studies.stored_study import StoredStudy

_MOST_TRIALS = 500_000
_NAME = "trials.parquet"


class SweepSection(StudySection):
    """The SQLite file of a sweep.

    Args:
        path: The file.
        given: How it was named.

    Raises:
        SettingError: If it is no such file, or damaged.
    """

    kind = "sweep"

    def __init__(self, path: Path, given: str) -> None:
        study = StoredStudy(path)
        try:
            super().__init__(study, given)
            done, _ = self.results.counts()
            self._content = _rows(study) if done.sum() <= _MOST_TRIALS else None
        finally:
            study.close()

    def downloads(self) -> list[Download]:
        """All trials as ``results --export`` writes them."""
        about = "a row for each trial, a column for every setting"
        if self._content is None:
            about = f"too many trials for this page: parity-lightning results {shlex.quote(self.path)} --export {_NAME}"
        return [Download(_NAME, self._content, about)]

    def how_to_repeat(self) -> Markup:
        """The command line of ``trials`` that makes the same, or that of the sweep."""
        line = f"parity-lightning sweep FILE.yaml --store {shlex.quote(self.path)}"
        return repeat_or(self.repeat, line, "FILE.yaml is the sweep's file; the store does not hold its name.")


def _rows(study: StoredStudy) -> bytes | None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / _NAME
        write_table(file, tables_of(study.settings, study.extent.first_seed, study.rows()))
        return file.read_bytes() if file.stat().st_size <= MOST_BYTES else None
