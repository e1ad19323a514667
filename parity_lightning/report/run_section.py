"""A run on the page: its curves, the hidden measure under the loss, what came of it and how to repeat it."""

from __future__ import annotations

import csv
import json
import math
import shlex
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from parity_lightning.display.style import BLUE, GRAY, VERMILION
from parity_lightning.display.summary_table import rows, title
from parity_lightning.errors import SettingError
from parity_lightning.report.downloads import Download, download_list
from parity_lightning.report.drawing import Drawing
from parity_lightning.report.figures import OCHRE, Figure, Line, Panel, Rule
from parity_lightning.report.markup import Markup, joined, tag
from parity_lightning.report.section import command, facts, folded, part, settings
from parity_lightning.report.tables import table
from parity_lightning.studies.settings import flat

_MOST_EVALUATIONS = 200
_ABOUT = {
    "metrics.csv": "a row for each evaluation",
    "summary.json": "what came of the run",
    "config.yaml": "all settings",
    "progress.png": "the picture that the run left",
}
_UNFINISHED = "has no end yet, or was stopped by force"


class RunSection:
    """The folder of a run.

    Args:
        folder: The folder, with ``config.yaml`` and ``metrics.csv``; a run that is not over has no ``summary.json``.
        given: How it was named.

    Raises:
        SettingError: If a file cannot be read.
    """

    kind = "run"

    def __init__(self, folder: Path, given: str) -> None:
        self.path = given
        self._folder = folder
        self._files = {name: file.read_bytes() for name in _ABOUT if (file := folder / name).is_file()}
        self._summary: dict[str, Any] = self._read("summary.json", json.loads) or {}
        self._config: dict[str, Any] = self._read("config.yaml", yaml.safe_load) or {}
        self._curves: dict[str, list[float]] = self._read("metrics.csv", _curves) or {}

    def _read(self, name: str, parse: Any) -> Any:
        if name not in self._files:
            return None
        try:
            found = parse(self._files[name].decode())
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            hint = f"{name} is damaged ({' '.join(str(error).split())[:80]}); leave this run out"
            raise SettingError("PATH", self.path, hint) from error
        if not isinstance(found, dict):
            raise SettingError("PATH", self.path, f"{name} does not hold what a run writes; leave this run out")
        return found

    @property
    def title(self) -> str:
        """The network and the parity."""
        network = str(self._summary.get("architecture") or (self._config.get("model") or {}).get("class_path") or "")
        name = network.rpartition(".")[2] or "A network"
        known = self._summary or _of_config(self._config)
        return f"{name} on the {about}" if (about := title(known)).startswith("(") else f"{name}, {about}".strip(", ")

    @property
    def outcome(self) -> str:
        """Whether it was solved, and when."""
        return f"solved: {rows(self._summary)[0][1]}" if self._summary else _UNFINISHED

    def body(self, drawing: Drawing) -> Markup:
        """All that is said of it."""
        summary, found = self._summary, rows(self._summary) if self._summary else [("ended", _UNFINISHED)]
        where = [(name, str(value)) for name, key in _WHERE if (value := summary.get(key)) is not None]
        details = facts([*found, *where])
        line = f"parity-lightning fit --config {shlex.quote(str(Path(self.path) / 'config.yaml'))}"
        files = [Download(name, content, _ABOUT[name]) for name, content in self._files.items()]
        return joined(
            details,
            part("Curves", drawing.draw(self._figure()) if self._steps else tag("p", "It has no evaluations yet.")),
            self._evaluations(),
            part("Run it again", command(line, "Or save config.yaml below, and give that.")),
            settings("All settings", flat(self._config)),
            part("Data", download_list(files)),
        )

    @property
    def _steps(self) -> list[float]:
        return self._curves.get("step", [])

    def _figure(self) -> Figure:
        onset, solved = self._summary.get("onset"), self._summary.get("convergence_time")
        steps = [("onset", onset, "4 3"), ("solved", solved, "")]
        named = [Rule(step, f"{name}: step {step:,}", dash=dash) for name, step, dash in steps if step is not None]
        plain = [Rule(rule.at, dash=rule.dash) for rule in named]
        guessing = Rule(0.5, "guessing", is_vertical=False, dash="2 3")
        panels = [
            Panel("Loss", "loss", self._stages("loss"), plain, height=180, least=(0,)),
            Panel(
                "Error: the share of wrong labels", "error", self._stages("error"), [guessing, *named], least=(0, 0.5)
            ),
            Panel(
                "Hidden progress: how far the first layer's weights have moved",
                "hidden progress",
                self._hidden(),
                plain,
                log_y=True,
            ),
        ]
        if gap := self._line("Fourier gap", "fourier_gap", VERMILION):
            level = Rule(0, is_vertical=False, dash="2 3")
            panels.append(
                Panel(
                    "Fourier gap: above 0, the gradient of one unit tells the inputs the label depends on",
                    "Fourier gap",
                    gap,
                    [level],
                )
            )
        # Memorizing takes a small part of the time to generalizing: a finite sample needs a logarithmic axis.
        log_steps = self._summary.get("num_samples") is not None
        last = panels.pop()
        panels.append(Panel(last.title, last.label, last.lines, last.rules, last.log_y, last.height + 20))
        caption = "Loss, error and hidden progress over SGD steps"
        return Figure(caption, "SGD steps", panels, log_x=log_steps, least=() if log_steps else (0,))

    def _line(self, name: str, column: str, color: str, dash: str = "", width: float = 2) -> list[Line]:
        values = self._curves.get(column, [])
        if not any(map(math.isfinite, values)):
            return []
        return [Line(name, self._steps, values, color, dash, width)]

    def _stages(self, metric: str) -> list[Line]:
        lines = []
        for name, stage, color, dash in (
            ("training batches", "train", OCHRE, "5 2"),
            ("validation examples", "val", BLUE, ""),
        ):
            column = f"{stage}/{'accuracy' if metric == 'error' else metric}"
            for line in self._line(name, column, color, dash, 2.2 if stage == "val" else 1.4):
                values = [1 - value for value in line.y] if metric == "error" else line.y
                lines.append(Line(line.name, line.x, values, line.color, line.dash, line.width))
        return lines

    def _hidden(self) -> list[Line]:
        return [
            *self._line("inputs the label depends on, strongest", "hidden_progress/relevant", VERMILION),
            *self._line("... and weakest", "hidden_progress/relevant_min", VERMILION, "6 3", 1.4),
            *self._line("all other inputs, strongest", "hidden_progress/irrelevant", GRAY, "2 3"),
        ]

    def _evaluations(self) -> Markup | None:
        names = ["step", *(name for name in self._curves if name != "step")]
        every = math.ceil(len(self._steps) / _MOST_EVALUATIONS) or 1
        # Counted from the end, which is the state that the run reached.
        kept = list(range(len(self._steps) - 1, -1, -every))[::-1]
        cells = [[_plain(self._curves[name][place]) for name in names] for place in kept]
        some = "" if every == 1 else f", {len(kept):,} of {len(self._steps):,}; all are in metrics.csv"
        return folded("Evaluations as a table", table(f"Evaluations{some}", names, cells)) if kept else None


_WHERE = (
    ("seed of the weights", "seed"),
    ("seed of the data", "data_seed"),
    ("computed", "computed"),
    ("device", "device"),
    ("precision", "precision"),
    ("version of parity-lightning", "version"),
)


def _plain(value: float) -> float | int | None:
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _curves(text: str) -> dict[str, list[float]]:
    """The columns of ``metrics.csv``; the last row may be half written by a run that is at work."""
    complete = csv.DictReader(StringIO(text[: text.rfind("\n") + 1]))
    found = [row for row in complete if None not in row and None not in row.values() and row.get("step")]
    return {name: [float(row[name] or "nan") for row in found] for name in complete.fieldnames or []}


def _of_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a summary would say of the data, of a run that has none yet."""
    data = dict((config.get("data") or {}).get("init_args") or {})
    data["seed"] = config.get("seed_everything")
    return {name: value for name, value in data.items() if name in ("n", "k", "batch_size", "label_noise", "seed")}
