"""A file of trials on the page."""

from __future__ import annotations

import shlex
from pathlib import Path

from parity_lightning.report.downloads import MOST_BYTES, Download
from parity_lightning.report.markup import Markup
from parity_lightning.report.study_section import StudySection, repeat_or
from parity_lightning.studies.stored_trials import StoredTrials


class TrialsSection(StudySection):
    """The Parquet file of trials.

    Args:
        path: The file.
        given: How it was named.

    Raises:
        SettingError: If it is no such file, or damaged.
    """

    kind = "trials"

    def __init__(self, path: Path, given: str) -> None:
        super().__init__(StoredTrials(path), given)
        self._name = path.name
        self._content = path.read_bytes() if path.stat().st_size <= MOST_BYTES else None

    def downloads(self) -> list[Download]:
        """The file itself."""
        where = "" if self._content is not None else f", too large for this page: {self.path}"
        return [Download(self._name, self._content, f"a row for each trial, a column for every setting{where}")]

    def how_to_repeat(self) -> Markup:
        """The command line of ``trials``."""
        options = f"--trials {self.results.trials} --output {shlex.quote(self.path)}"
        line = f"parity-lightning trials --config CONFIG.yaml {options}"
        about = "The settings are no combinations of options' values; give the configuration and the --vary of before."
        return repeat_or(self.repeat, line, about)
