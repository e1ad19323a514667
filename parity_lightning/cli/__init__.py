"""The command line: one entry, ``parity-lightning SUBCOMMAND``.

This module and the tree of subcommands stay light: Lightning and torch are imported when a subcommand needs them.
"""

from __future__ import annotations

import sys
from argparse import ArgumentError
from collections.abc import Sequence
from importlib import import_module

from parity_lightning.cli.imports import collecting_nothing
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
            _main(words, is_own_process=args is None)
        except KeyboardInterrupt:
            # Before or after training; during it, the run ends in good order by itself.
            complain("interrupted")
            raise SystemExit(130) from None


def _main(arguments: list[str], is_own_process: bool) -> None:
    """Runs a subcommand; in a process of its own when it was called as a command, not from Python."""
    from parity_lightning.cli.build_ahead import build_ahead
    from parity_lightning.cli.command_tree import command_tree, explain
    from parity_lightning.cli.early_checks import check_training
    from parity_lightning.cli.one_line_errors import one_line_errors
    from parity_lightning.cli.subcommands import SUBCOMMANDS, trains
    from parity_lightning.cli.usage import usage_error
    from parity_lightning.errors import nearest

    words = arguments or ["--help"]
    name, asks_help = words[0], words[1:] in (["--help"], ["-h"])
    if name not in SUBCOMMANDS and not name.startswith("-"):
        usage_error("", f"{name}: no such subcommand; {nearest(name, SUBCOMMANDS)}")
    for word in words:
        if (option := word.partition("=")[0]) in OPTIONS:
            usage_error(name, f"{word}: takes no value; write {option}")
    if name in SUBCOMMANDS and SUBCOMMANDS[name].shows_help and not words[1:]:
        words, asks_help = [name, "--help"], True
    if name == "trials" and {"-h", "--help"} & set(words):
        # The options of fit, which may stand beside it, are not read.
        words, asks_help = [name, "--help"], True
    if (trains(name) and not asks_help) or name.startswith("--print_completion"):
        with one_line_errors(name):
            check_training(words)
        if is_own_process and name in ("fit", "trials"):
            build_ahead(words)
        with collecting_nothing():
            from parity_lightning.cli import training, trials

        (trials if name == "trials" else training).run(words)
        return
    try:
        config = command_tree().parse_args(words)
    except ArgumentError as error:
        command, message = explain(words, error)
        usage_error(command, message)
    options = config[config.subcommand].as_dict()
    with one_line_errors(config.subcommand):
        SUBCOMMANDS[config.subcommand].check(options)
    with collecting_nothing():
        subcommand = import_module(f"parity_lightning.cli.{config.subcommand}")
    subcommand.run(options)
