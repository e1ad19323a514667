"""Reads W&B's files of a run by W&B's own reader."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def records_of(folder: Path) -> list[dict[str, Any]]:
    """All that a run has told W&B."""
    return [json.loads(line) for line in _inspected("--json", folder).splitlines()]


def whole_run(folder: Path) -> dict[str, Any]:
    """A run's name, configuration, summary, state and so on."""
    whole: dict[str, Any] = json.loads(_inspected("--summary", "--json", folder))
    return whole


def _inspected(*words: str | Path) -> str:
    command = [Path(sys.executable).with_name("wandb"), "leet", "inspect", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
