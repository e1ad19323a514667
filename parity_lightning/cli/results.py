"""The subcommand results: what a sweep found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parity_lightning.cli.imports import collecting_nothing
from parity_lightning.cli.one_line_errors import one_line_errors
from parity_lightning.cli.paths import shown_path
from parity_lightning.cli.results_report import record_of_results, report_results
from parity_lightning.cli.to_wandb import WandbSender
from parity_lightning.display.heading import heading
from parity_lightning.errors import SettingError
from parity_lightning.studies.export import check_target, tables_of, write_table
from parity_lightning.studies.results import Results, scaling_curves_of_groups
from parity_lightning.studies.stored_study import StoredStudy
from parity_lightning.terminal.output import answer, record
from parity_lightning.terminal.output import path as print_path


def run(options: Mapping[str, Any]) -> None:
    """Runs ``parity-lightning results``.

    Args:
        options: Its options, and ``store_file``.

    Raises:
        SystemExit: With 2 for a usage error, 1 if a file cannot be written or W&B does not take a run.
    """
    # What is read of a store is no garbage either, and of a large one there is much.
    with one_line_errors("results"), collecting_nothing():
        _run(Path(options["store_file"]).expanduser(), options)


def _run(path: Path, options: Mapping[str, Any]) -> None:
    study = StoredStudy(path)
    try:
        results = Results.of(study).where(options["where"])
        by = [name.strip() for name in options["group_by"].split(",")] if options["group_by"] else None
        results.check_columns("--group_by", by or [])
        against = options["against"]
        if against is not None:
            results.check_columns("--against", [against])
            if against not in (results.varied if by is None else by):
                raise SettingError("--against", against, "is the same everywhere, or not among --group_by")
        target = options["export"] and Path(options["export"]).expanduser().absolute()
        if target:
            check_target(target, "--export")
        if options["picture"] and not options["picture"].endswith(".png"):
            raise SettingError("--picture", options["picture"], "must end with .png")
        sender = None if options["to_wandb"] is None else WandbSender.of(options["to_wandb"])
        files: dict[str, Path] = {"store": path}
        for line in report_results(results, by, against):
            answer(line)
        if options["picture"] is not None:
            files["picture"] = picture = Path(options["picture"]).expanduser().absolute()
            _draw(picture, results, by, against, options["picture"])
        if target:
            settings = study.settings
            chosen = [settings[place] for place in results.places]
            place_of = {place: number for number, place in enumerate(results.places)}
            rows = ((place_of[place], row) for place, row in study.rows(results.places))
            write_table(target, tables_of(chosen, study.extent.first_seed, rows))
            files["trials"] = target
            print_path("trials", shown_path(target, options["export"]))
        if sender is not None:
            answer(sender.send(path, study, results))
        record("results", files, lambda: record_of_results(results, by, against))
    finally:
        study.close()


def _draw(path: Path, results: Results, by: list[str] | None, against: str | None, given: str) -> None:
    curves = scaling_curves_of_groups(results.groups(by), against)
    if not curves:
        raise SettingError("--picture", given, "no number varies that times could be drawn against")
    # Matplotlib takes half a second to import.
    from parity_lightning.display.scaling_picture import draw_scaling_picture

    rows = [{**results.shared, **own} for own in results.own]
    limit = max(float(row["max_steps"]) for row in rows)
    draw_scaling_picture(path, curves, heading(rows), limit)
    print_path("picture", shown_path(path, given))
