"""What a path is: a run, trials, a sweep, or an experiment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from parity_lightning.errors import SettingError
from parity_lightning.figures.page import FOREST
from parity_lightning.report.section import Section

_KNOWN = "the folder of a run, of theory, a figure or paper, a trials file (.parquet) or the store of a sweep (.sqlite)"


class UnknownKind(SettingError):
    """What lies at a path is of no kind that can be shown."""


def sections_of(given: Iterable[str]) -> tuple[list[Section], list[UnknownKind]]:
    """Reads what lies at paths; of a figure that was drawn at several scales, and of ``paper``'s folder, all of it.

    Args:
        given: The paths, as they were named.

    Returns:
        What they are, each thing once, and why paths were left out at which something else lies.

    Raises:
        UnknownKind: If something else lies at all of them.
        SettingError: If there is nothing at one, or it is damaged.
    """
    sections: list[Section] = []
    unknown: list[UnknownKind] = []
    verdicts: set[bytes] = set()
    for each in dict.fromkeys(given):
        for part in _parts(each):
            verdict = Path(part).expanduser() / "verdict.json"
            content = verdict.read_bytes() if verdict.is_file() else None
            # The folder of `paper` has copies of what lies beside it.
            if content is not None and content in verdicts:
                continue
            try:
                sections.append(section_of(part))
            except UnknownKind as error:
                unknown.append(error)
            verdicts |= {content} if content is not None else set()
    if not sections:
        raise unknown[0]
    return sections, unknown


def _parts(given: str) -> list[str]:
    path = Path(given).expanduser()
    holds_several = any((path / name).is_file() for name in ("study.sqlite", f"{FOREST}.png"))
    parts = sorted(path.glob("*/verdict.json")) if holds_several else []
    return [str(Path(given) / part.parent.name) for part in parts] or [given]


def section_of(given: str) -> Section:
    """Reads the one thing that lies at a path.

    Raises:
        SettingError: As of `sections_of`.
    """
    path = Path(given).expanduser()
    if not path.exists():
        raise SettingError("PATH", given, f"no such file or folder; give {_KNOWN}")
    try:
        return _section_of(path, given)
    except UnknownKind:
        raise
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
        if path.suffix == ".sqlite" or _begins_with(path, b"SQLite format 3"):
            from parity_lightning.report.sweep_section import SweepSection

            return SweepSection(path, given)
        raise UnknownKind("PATH", given, f"is no file that can be shown; give {_KNOWN}")
    if (path / "verdict.json").is_file():
        from parity_lightning.report.verdict_section import VerdictSection

        return VerdictSection(path, given)
    if ((path / "config.yaml").is_file() and (path / "metrics.csv").is_file()) or (path / "summary.json").is_file():
        from parity_lightning.report.run_section import RunSection

        return RunSection(path, given)
    for name in ("trials.parquet", "study.sqlite"):
        if (path / name).is_file():
            return _section_of(path / name, str(Path(given) / name))
    raise UnknownKind("PATH", given, f"holds nothing that can be shown; {_below(path, given)}")


def _begins_with(path: Path, beginning: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def _below(path: Path, given: str) -> str:
    """What to give instead of a folder."""
    names = ("verdict.json", "summary.json", "metrics.csv", "trials.parquet", "study.sqlite")
    if any(any(path.glob(f"*/{name}")) for name in names):
        return f"give what lies in it: {re.sub('/+$', '', given)}/*"
    return f"give {_KNOWN}"
