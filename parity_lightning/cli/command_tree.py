"""The tree of subcommands, for help, completion and parsing.

Building it needs neither Lightning nor torch: the options of a subcommand are added when it is parsed, and those that
need Lightning by the LightningCLI, which builds the same tree around them (`parity_lightning.cli.training`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, set_parsing_settings

from parity_lightning import __version__
from parity_lightning.cli.executor_options import ExecutorOptions
from parity_lightning.cli.experiment_options import add_experiment_options
from parity_lightning.cli.figure_options import FigureOptions, PaperOptions
from parity_lightning.cli.first_page import first_page
from parity_lightning.cli.given import GivenSettings
from parity_lightning.cli.option_types import options_of
from parity_lightning.cli.pages import print_page
from parity_lightning.cli.refusals import Walk
from parity_lightning.cli.study_options import ReportOptions, ResultsOptions, SweepOptions
from parity_lightning.cli.trial_options import TrialOptions
from parity_lightning.cli.typed_options import add_options
from parity_lightning.errors import SettingError, nearest
from parity_lightning.experiments import EXPERIMENTS, Entry
from parity_lightning.figures import FIGURES

SUBCOMMANDS = {
    "fit": "train a network on a sparse parity, show its hidden progress, stop when it is solved",
    "trials": "run many seeds side by side and draw their convergence times",
    "sweep": "run the settings of a W&B sweep file side by side, into one store",
    "results": "print, draw and export what a sweep found",
    "figure": "run a figure of the paper, draw it, and decide its claims",
    "paper": "run all figures and experiments, and write one page on their claims",
    "report": "show runs, trials, sweeps and experiments on one HTML page",
    "theory": "run the paper's theory, an experiment at a time",
    "validate": "evaluate a checkpoint on the validation set",
    "test": "evaluate a checkpoint on the test set",
    "predict": "write a checkpoint's predictions on the test set",
    "configs": "list the configurations that come with parity-lightning, or copy one",
    "new": "write a module, a configuration and a test to begin a network of your own with",
}

TRAINING = ("fit", "trials", "validate", "test", "predict")
"""The subcommands whose options come from classes of Lightning's."""

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

_TRIALS = (
    "Run trials of a configuration side by side, each with its own seed; print and draw their convergence times. "
    "Beside these options it has those of fit: parity-lightning fit --help."
)

_THEORY = (
    "Run an experiment on the paper's theory: print a table and which of the paper's claims hold, and write "
    "verdict.json, data.csv and a picture into a new folder below runs/."
)

_SWEEP = (
    "Run every setting of a W&B sweep file, the file that `wandb sweep` takes: so many trials of each, side by side, "
    "one row each in one store. Stopped at any moment, the same command goes on."
)

_RESULTS = "Print what a sweep found: solved shares, median convergence times, power laws, and the paper's rule."

_CONFIGS = (
    "List the configurations that come with parity-lightning. fit --config NAME takes one as it is where there is no "
    "file of that name; configs copy NAME writes it into the current folder."
)

_NEW = (
    "Write NAME.py with a small network, NAME.yaml with a configuration that trains it, and test_NAME.py into the "
    "current folder; all three work as they are. Nothing is overwritten."
)

_REPORT = (
    "Show runs, trials, sweeps and experiments on one HTML page that needs nothing else: settings, curves, tables, "
    "verdicts, the data to download and the command to repeat each. An existing file is never replaced."
)


_FIGURE = (
    "Run a figure of the paper as far as it has not been run, print which of its claims hold, and write its picture, "
    "the data behind it and verdict.json. Stopped at any moment, the same command goes on, and so does a larger scale."
)


_PAPER = (
    "Run every figure of the paper and every experiment on its theory, as far as they have not been, and write one "
    "page: the score, a forest plot of all numbers beside the paper's, and a row for each claim."
)


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


class _List(argparse._HelpAction):
    entries: Mapping[str, Entry]

    def __call__(self, parser: Any, *_: Any, **__: Any) -> None:
        print_page("\n".join(f"  {name:<16} {entry.summary}" for name, entry in self.entries.items()))
        parser.exit()


class _ListExperiments(_List):
    entries = EXPERIMENTS


class _ListFigures(_List):
    entries = FIGURES


def add_trial_options(parser: ArgumentParser) -> None:
    """Adds the options of ``trials`` that ``fit`` has not."""
    add_options(parser, TrialOptions)


def _add_sweep_options(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a W&B sweep file")
    add_options(parser, SweepOptions)
    add_options(parser, ExecutorOptions)


def _add_results_options(parser: ArgumentParser) -> None:
    parser.add_argument("store_file", metavar="STORE", help="the file that a sweep wrote")
    add_options(parser, ResultsOptions)
    about = (
        "send every setting to Weights & Biases as one run: its configuration, the share solved and the median t_c; "
        "without a name to parity-lightning. Nothing leaves the machine with WANDB_MODE=offline"
    )
    parser.add_argument("--to_wandb", nargs="?", const="parity-lightning", metavar="[ENTITY/]PROJECT", help=about)


def _add_new_options(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the network's name, my_network or MyNetwork")


def _add_figure_options(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="ID", help="the figure: one of those that --list lists")
    parser.add_argument("--list", action=_ListFigures, help="list the figures and exit")
    add_options(parser, FigureOptions)


def _add_report_options(parser: ArgumentParser) -> None:
    about = "the folder of a run, of theory or of a figure, a trials file (.parquet) or the store of a sweep (.sqlite)"
    parser.add_argument("paths", metavar="PATH", nargs="+", help=about)
    add_options(parser, ReportOptions)


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
    for name, summary in SUBCOMMANDS.items():
        parser = make(name) or _light_parser(name)
        subcommands.add_subcommand(name, parser, help=summary)
        parser.prog = f"parity-lightning {name}"
        tree.below += [parser, *_add_subcommands(name, parser)]
    return tree


_GIVEN_FIRST = {
    "sweep": "the file: parity-lightning sweep FILE",
    "results": "the file: parity-lightning results STORE",
    "figure": "the figure: parity-lightning figure ID; --list lists them",
    "new": "the network a name: parity-lightning new NAME",
}
"""What a subcommand needs before its options."""


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
    elif path[:1] and path[0] in _GIVEN_FIRST:
        if not path[1:]:
            return path[0], f"give {_GIVEN_FIRST[path[0]]}"
        if path[2:]:
            return path[0], f"{path[2]}: belongs to no option; write --OPTION VALUE"
        path = path[:1]
    given = replace(given, subcommands=path)
    if path[2:]:
        return " ".join(path[:2]), f"{path[2]}: belongs to no option; write --OPTION VALUE"
    command = " ".join(path)
    options = options_of(getattr(error, "parser", None) or ArgumentParser())
    return command, Walk(given, options).explain(f"parity-lightning {command}".strip())


class Formatter(argparse.HelpFormatter):
    """Wraps paragraphs, and keeps the lines of examples."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_help_position": 28})

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def _light_parser(name: str) -> CommandParser:
    if name == "theory":
        parser = CommandParser(description=_THEORY)
        parser.add_argument("--list", action=_ListExperiments, help="list the experiments and exit")
        return parser
    if name == "trials":
        return CommandParser(description=_TRIALS, fill=add_trial_options)
    if name == "sweep":
        return CommandParser(description=_SWEEP, fill=_add_sweep_options)
    if name == "configs":
        return CommandParser(description=_CONFIGS)
    if name == "new":
        return CommandParser(description=_NEW, fill=_add_new_options)
    if name == "figure":
        return CommandParser(description=_FIGURE, fill=_add_figure_options)
    if name == "paper":
        return CommandParser(description=_PAPER, fill=partial(add_options, source=PaperOptions))
    if name == "results":
        return CommandParser(description=_RESULTS, fill=_add_results_options)
    if name == "report":
        return CommandParser(description=_REPORT, fill=_add_report_options)
    return CommandParser(help_page=partial(first_page, name))


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
        parsers.append(own)
        experiments.add_subcommand(name, own, help=entry.summary)
        own.prog = f"parity-lightning theory {name}"
    return parsers
