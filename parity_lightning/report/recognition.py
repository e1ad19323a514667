"""What a path is: a run, trials, a sweep, or an experiment."""

from __future__ import annotations

import re
from pathlib import Path

from parity_lightning.errors import SettingError
from parity_lightning.report.section import Section

_KNOWN = "the folder of a run, of theory or of a figure, a trials file (.parquet) or the store of a sweep (.sqlite)"


def section_of(given: str) -> Section:
    """Reads what lies at a path.

    Args:
        given: The path, as it was named.

    Raises:
        SettingError: If there is nothing, nothing that is known, or it is damaged.
    """
    path = Path(given).expanduser()
    if not path.exists():
        raise SettingError("PATH", given, f"no such file or folder; give {_KNOWN}")
    try:
        return _section_of(path, given)
    except SettingError as error:
        # Classes that read files name the option of the command that writes them.
        raise SettingError("PATH", given, error.hint) from error
    except OSError as error:
        raise SettingError(
            "PATH", given, f"cannot be read ({error.strerror}); make it readable, or leave it out"
        ) from error


def _section_of(path: Path, given: str) -> Section:
    if path.is_file():
        if path.suffix == ".parquet":
            from parity_lightning.report.trials_section import TrialsSection

            return TrialsSection(path, given)
        if path.suffix in (".sqlite", ".db") or path.open("rb").read(16).startswith(b"SQLite format 3"):
            from parity_lightning.report.sweep_section import SweepSection

            return SweepSection(path, given)
        raise SettingError("PATH", given, f"is no file that can be shown; give {_KNOWN}")
    if (path / "verdict.json").is_file():
        from parity_lightning.report.verdict_section import VerdictSection

        return VerdictSection(path, given)
    if ((path / "config.yaml").is_file() and (path / "metrics.csv").is_file()) or (path / "summary.json").is_file():
        from parity_lightning.report.run_section import RunSection

        return RunSection(path, given)
    for name in ("trials.parquet", "study.sqlite"):
        if (path / name).is_file():
            return _section_of(path / name, str(Path(given) / name))
    raise SettingError("PATH", given, f"holds nothing that can be shown; {_below(path, given)}")


def _below(path: Path, given: str) -> str:
    """What to give instead of a folder."""
    names = ("verdict.json", "summary.json", "metrics.csv", "trials.parquet", "study.sqlite")
    if any(path.glob(f"*/{name}") for name in names):
        return f"give what lies in it: {re.sub('/+$', '', given)}/*"
    return f"give {_KNOWN}"
