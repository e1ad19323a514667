"""The command line: one entry, ``parity-lightning SUBCOMMAND``.

This module and the tree of subcommands stay light: Lightning and torch are imported when a subcommand needs them.
"""

from __future__ import annotations

import sys
from argparse import ArgumentError
from collections.abc import Sequence

from parity_lightning.terminal.output import OPTIONS, complain, speaking


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command line.

    Args:
        args: Its arguments; those of the process by default.

    Raises:
        SystemExit: With 2 for a usage error, 130 or 143 when interrupted.
    """
    given = list(sys.argv[1:] if args is None else args)
    # How much is said is no setting of what is run: a configuration does not hold it, and no other run is meant by it.
    words = [word for word in given if word not in OPTIONS]
    with speaking(quiet="--quiet" in given, as_json="--json" in given):
        try:
            _main(words)
        except KeyboardInterrupt:
            # Before or after training; during it, the run ends in good order by itself.
            complain("interrupted")
            raise SystemExit(130) from None


def _main(arguments: list[str]) -> None:
    from parity_lightning.cli.command_tree import SUBCOMMANDS, TRAINING, command_tree, explain
    from parity_lightning.cli.usage import usage_error
    from parity_lightning.errors import nearest

    words = arguments or ["--help"]
    if words in (["theory"], ["trials"], ["sweep"], ["results"], ["new"], ["figure"], ["report"]) or (
        words[0] == "trials" and {"-h", "--help"} & set(words)
    ):
        words = [words[0], "--help"]
    if words[0] not in SUBCOMMANDS and not words[0].startswith("-"):
        usage_error("", f"{words[0]}: no such subcommand; {nearest(words[0], SUBCOMMANDS)}")
    for word in words:
        if (name := word.partition("=")[0]) in OPTIONS:
            usage_error(words[0], f"{word}: takes no value; write {name}")
    needs_lightning = words[0] in TRAINING or words[0].startswith("--print_completion")
    if needs_lightning and words[1:] not in (["--help"], ["-h"]):
        from parity_lightning.cli import training, trials

        (trials if words[0] == "trials" else training).run(words)
        return
    try:
        config = command_tree().parse_args(words)
    except ArgumentError as error:
        command, message = explain(words, error)
        usage_error(command, message)
    if config.subcommand == "sweep":
        from parity_lightning.cli import sweep

        sweep.run(config.sweep.as_dict())
        return
    if config.subcommand == "results":
        from parity_lightning.cli import results

        results.run(config.results.as_dict())
        return
    if config.subcommand == "configs":
        from parity_lightning.cli import configs

        configs.run(config.configs.copy.name if config.configs.action == "copy" else None)
        return
    if config.subcommand == "new":
        from parity_lightning.cli import new

        new.run(config.new.name)
        return
    if config.subcommand == "figure":
        from parity_lightning.cli import figure

        figure.run(config.figure.as_dict())
        return
    if config.subcommand == "paper":
        from parity_lightning.cli import paper

        paper.run(config.paper.as_dict())
        return
    if config.subcommand == "report":
        from parity_lightning.cli import report

        report.run(config.report.as_dict())
        return
    from parity_lightning.cli import theory

    name = config.theory.experiment
    theory.run(name, config.theory[name].as_dict())
