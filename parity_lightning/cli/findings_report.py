"""What ``figure`` and ``theory`` print of what they found, and where it lies."""

from __future__ import annotations

import json
from pathlib import Path

from parity_lightning.cli.paths import shown_path
from parity_lightning.experiments.findings import Findings
from parity_lightning.terminal.output import path, record, show


def show_findings(findings: Findings) -> None:
    """Prints the table, our choices, the claims and what else was found."""
    show(findings.table())
    for choice in findings.choices:
        show(f"our choice: {choice}")
    for claim in findings.claims:
        show(str(claim))
    for note in findings.notes:
        show(note)


def tell_files(command: str, folder: Path, given: str) -> None:
    """Prints the files of what was found, and with ``--json`` all that ``verdict.json`` has.

    Args:
        command: The subcommand.
        folder: Where the files lie.
        given: The option that decided where.
    """
    files = sorted(folder.iterdir())
    for file in files:
        path(file.stem, shown_path(file, given))
    verdict = json.loads((folder / "verdict.json").read_text())
    record(command, {file.name: file for file in files}, repeat=verdict.pop("command"), **verdict)
