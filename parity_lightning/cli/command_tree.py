"""The tree of subcommands, for help, completion and parsing.

Building it needs neither Lightning nor torch: the options of a subcommand are added when it is parsed, and those that
need Lightning by the LightningCLI, which builds the same tree around them (`parity_lightning.cli.training`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, set_parsing_settings

from parity_lightning import __version__
from parity_lightning.cli.experiment_options import add_experiment_options
from parity_lightning.cli.given import GivenSettings
from parity_lightning.cli.option_types import options_of
from parity_lightning.cli.pages import print_page
from parity_lightning.cli.refusals import UsageExplainer
from parity_lightning.cli.short_help import short_help
from parity_lightning.cli.subcommands import SUBCOMMANDS, Subcommand
from parity_lightning.errors import SettingError, nearest
from parity_lightning.experiments import EXPERIMENTS
from parity_lightning.terminal.output import OPTIONS

_EXAMPLES = """\
examples:
  parity-lightning fit --config configs/online.yaml
  parity-lightning fit --config configs/online.yaml --data.n 30 --model.optimizer.lr 0.05
  parity-lightning trials --config configs/online.yaml --trials 100
  parity-lightning sweep configs/sweeps/first.yaml
  parity-lightning figure 4-left --scale smoke
  parity-lightning theory --list
  parity-lightning report runs/* --output report.html
  parity-lightning test --config RUN/config.yaml --ckpt_path RUN/checkpoints/last.ckpt
  parity-lightning fit --help"""


class Refused(argparse.ArgumentError):
    """A parser has refused its arguments.

    Args:
        parser: The parser.
        message: Its text.
    """

    def __init__(self, parser: ArgumentParser, message: str) -> None:
        super().__init__(None, message)
        self.parser = parser


class CommandParser(ArgumentParser):
    """A parser that raises what it refuses, and whose options may be added when they are first needed.

    Args:
        fill: Adds the options of the parser to it.
        help_page: What ``--help`` prints; all options by default.
    """

    def __init__(
        self,
        *args: Any,
        fill: Callable[[ArgumentParser], None] | None = None,
        help_page: Callable[[], str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **{"exit_on_error": False, "allow_abbrev": False, **kwargs})
        self._fill = fill
        self.help_page = help_page
        self.below: list[CommandParser] = []
        """The parsers of the tree below this one, by the `command_tree` that has it at its top."""

    def fill(self) -> None:
        """Adds the options that are still missing."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        """Parses, with all options."""
        self.fill()
        return super().parse_args(*args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises what was refused, with the parser of the subcommand that refused it."""
        raise Refused(getattr(ex, "parser", self), message) from ex

    def print_help(self, file: Any = None) -> None:
        """Prints the page of help."""
        print_page(self.help_page() if self.help_page is not None else self.format_help().rstrip())

    def get_completion_script(self, completion_type: str, **kwargs: Any) -> str:
        """The completion script of the whole tree, once all options are there."""
        for parser in self.below:
            parser.fill()
        script: str = super().get_completion_script(completion_type, **kwargs)
        return script


class PrintAll(argparse._HelpAction):
    """Prints all options, where ``--help`` prints the first page."""

    def __call__(self, parser: Any, *_: Any, **__: Any) -> None:
        """Prints and exits."""
        print_page(parser.format_help().rstrip())
        parser.exit()


class _Said(argparse._HelpAction):
    """Stands for an option that is read before there is a parser: one of how much is said."""

    def __call__(self, *_: Any, **__: Any) -> None:
        """Does nothing."""


def add_saying(parser: ArgumentParser) -> None:
    """Adds to the help of a subcommand what all of them take."""
    for name, about in OPTIONS.items():
        parser.add_argument(name, action=_Said, help=about)


def command_tree(make: Callable[[str], CommandParser | None] = lambda name: None) -> CommandParser:
    """Builds the tree.

    Args:
        make: Makes the parser of a subcommand; None for one without the options that need Lightning.
    """
    set_parsing_settings(add_print_completion_argument=True)
    tree = CommandParser(
        prog="parity-lightning",
        version=__version__,
        description="Train networks on sparse parities and watch their hidden progress.",
        epilog=_EXAMPLES,
        formatter_class=Formatter,
    )
    subcommands = tree.add_subcommands(title="subcommands", metavar="SUBCOMMAND", description="")
    for name, subcommand in SUBCOMMANDS.items():
        parser = make(name) or _light_parser(name, subcommand)
        add_saying(parser)
        subcommands.add_subcommand(name, parser, help=subcommand.summary)
        parser.prog = f"parity-lightning {name}"
        tree.below += [parser, *_add_subcommands(name, parser)]
    return tree


def explain(words: Sequence[str], error: argparse.ArgumentError) -> tuple[str, str]:
    """Explains what is wrong with a command line that needs none of Lightning's options.

    Args:
        words: The command line.
        error: What the parser raised.

    Returns:
        The subcommand, and one line.
    """
    try:
        given = GivenSettings.of(words)
    except SettingError as refused:
        return words[0], str(refused)
    path = given.subcommands
    if path[:1] == ("theory",):
        if path[1:] and path[1] not in EXPERIMENTS:
            return "theory", f"{path[1]}: no such experiment; {nearest(path[1], EXPERIMENTS)}"
        if not path[1:] and not given.settings:
            return "theory", f"name an experiment; {nearest('', EXPERIMENTS)}"
    if path[:1] == ("configs",) and path[1:]:
        if path[1] != "copy":
            return "configs", f"{path[1]}: no such action; parity-lightning configs copy NAME is one"
        if not path[2:]:
            return "configs copy", "give a NAME of those that parity-lightning configs lists"
        path = path[:2] + path[3:]
    elif path[:1] == ("report",):
        if not path[1:]:
            return "report", "give what to show: parity-lightning report PATH ..."
        path = path[:1]
    elif path and SUBCOMMANDS[path[0]].first:
        if not path[1:]:
            return path[0], f"give {SUBCOMMANDS[path[0]].first}"
        if path[2:]:
            return path[0], f"{path[2]}: belongs to no option; write --OPTION VALUE"
        path = path[:1]
    given = replace(given, subcommands=path)
    if path[2:]:
        return " ".join(path[:2]), f"{path[2]}: belongs to no option; write --OPTION VALUE"
    command = " ".join(path)
    options = options_of(getattr(error, "parser", None) or ArgumentParser())
    return command, UsageExplainer(given, options).explain(f"parity-lightning {command}".strip())


class Formatter(argparse.HelpFormatter):
    """Wraps paragraphs, and keeps the lines of examples."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_help_position": 28})

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def _light_parser(name: str, subcommand: Subcommand) -> CommandParser:
    if not subcommand.description:
        return CommandParser(help_page=partial(short_help, name))
    return CommandParser(description=subcommand.description, fill=subcommand.fill)


def _add_subcommands(name: str, parser: ArgumentParser) -> list[CommandParser]:
    return _add_experiments(parser) if name == "theory" else _add_copy(parser) if name == "configs" else []


def _add_copy(parser: ArgumentParser) -> list[CommandParser]:
    actions = parser.add_subcommands(required=False, dest="action", title="actions", metavar="ACTION", description="")
    summary = "write one into the current folder"
    copy = CommandParser(description="Write a configuration into the current folder; nothing is overwritten.")
    copy.add_argument("name", metavar="NAME", help="one that parity-lightning configs lists")
    actions.add_subcommand("copy", copy, help=summary)
    copy.prog = "parity-lightning configs copy"
    return [copy]


def _add_experiments(parser: ArgumentParser) -> list[CommandParser]:
    experiments = parser.add_subcommands(dest="experiment", title="experiments", metavar="NAME", description="")
    parsers = []
    for name, entry in EXPERIMENTS.items():
        description = f"{entry.summary[0].upper()}{entry.summary[1:]}."
        own = CommandParser(description=description, fill=partial(add_experiment_options, package=entry.package))
        add_saying(own)
        parsers.append(own)
        experiments.add_subcommand(name, own, help=entry.summary)
        own.prog = f"parity-lightning theory {name}"
    return parsers
