"""The subcommands: what each is for, and the options that it has without Lightning."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from jsonargparse import ArgumentParser

from parity_lightning.cli.early_checks import check_sweep_file
from parity_lightning.cli.executor_options import ExecutorOptions
from parity_lightning.cli.figure_options import FigureOptions, PaperOptions
from parity_lightning.cli.pages import print_page
from parity_lightning.cli.study_options import ReportOptions, ResultsOptions, SweepOptions
from parity_lightning.cli.trial_options import TrialOptions
from parity_lightning.cli.typed_options import add_options
from parity_lightning.experiments import EXPERIMENTS, Entry
from parity_lightning.figures import FIGURES, check_figure


class Subcommand(NamedTuple):
    """A subcommand, as the list of them and its own help show it.

    Its code is the function ``run`` of the module in `parity_lightning.cli` that has its name.

    Attributes:
        summary: A line.
        description: The paragraph above its options; empty for one whose help begins with a page of its own.
        fill: Adds its options to a parser; none for one whose options come from classes of Lightning's alone.
        check: Refuses options that cannot work, before anything that takes long is imported.
        first: What it needs before its options.
        trains: Whether it has options that come from classes of Lightning's.
        shows_help: Whether it shows its help when nothing is given.
    """

    summary: str
    description: str = ""
    fill: Callable[[ArgumentParser], None] = lambda parser: None
    check: Callable[[Mapping[str, Any]], None] = lambda options: None
    first: str = ""
    trains: bool = False
    shows_help: bool = False


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
    _add_list(parser, FIGURES, "figures")
    add_options(parser, FigureOptions)
    add_options(parser, ExecutorOptions)


def _add_paper_options(parser: ArgumentParser) -> None:
    add_options(parser, PaperOptions)
    add_options(parser, ExecutorOptions)


def _add_report_options(parser: ArgumentParser) -> None:
    about = (
        "the folder of a run, of theory, a figure or paper, a trials file (.parquet) or the store of a sweep (.sqlite)"
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", help=about)
    add_options(parser, ReportOptions)


def _add_list(parser: ArgumentParser, entries: Mapping[str, Entry], what: str) -> None:
    class List(argparse._HelpAction):
        def __call__(self, parser: Any, *_: Any, **__: Any) -> None:
            width = max(map(len, entries))
            print_page("\n".join(f"  {name:<{width}}  {entry.summary}" for name, entry in entries.items()))
            parser.exit()

    parser.add_argument("--list", action=List, help=f"list the {what} and exit")


SUBCOMMANDS = {
    "fit": Subcommand(
        "train a network on a sparse parity, show its hidden progress, stop when it is solved",
        trains=True,
        shows_help=True,
    ),
    "trials": Subcommand(
        "run many seeds side by side and draw their convergence times",
        "Run trials of a configuration side by side, each with its own seed; print and draw their convergence times. "
        "Beside these options it has those of fit: parity-lightning fit --help.",
        fill=partial(add_options, source=TrialOptions),
        trains=True,
        shows_help=True,
    ),
    "sweep": Subcommand(
        "run the settings of a W&B sweep file side by side, into one store",
        "Run every setting of a W&B sweep file, the file that `wandb sweep` takes: so many trials of each, side by "
        "side, one row each in one store. Stopped at any moment, the same command goes on.",
        fill=_add_sweep_options,
        check=lambda options: check_sweep_file(options["file"]),
        first="the file: parity-lightning sweep FILE",
        shows_help=True,
    ),
    "results": Subcommand(
        "print, draw and export what a sweep found",
        "Print what a sweep found: solved shares, median convergence times, power laws, and the paper's rule.",
        fill=_add_results_options,
        first="the file: parity-lightning results STORE",
        shows_help=True,
    ),
    "figure": Subcommand(
        "run a figure of the paper, draw it, and decide its claims",
        "Run a figure of the paper as far as it has not been run, print which of its claims hold, and write its "
        "picture, the data behind it and verdict.json. Stopped at any moment, the same command goes on, and so does a "
        "larger scale.",
        fill=_add_figure_options,
        check=lambda options: check_figure(options["name"]),
        first="the figure: parity-lightning figure ID; --list lists them",
        shows_help=True,
    ),
    "paper": Subcommand(
        "run all figures and experiments, and write one page on their claims",
        "Run every figure of the paper and every experiment on its theory, as far as they have not been, and write "
        "one page: the score, a forest plot of all numbers beside the paper's, and a row for each claim.",
        fill=_add_paper_options,
    ),
    "report": Subcommand(
        "show runs, trials, sweeps and experiments on one HTML page",
        "Show runs, trials, sweeps and experiments on one HTML page that needs nothing else: settings, curves, "
        "tables, verdicts, the data to download and the command to repeat each. An existing file is never replaced.",
        fill=_add_report_options,
        shows_help=True,
    ),
    "theory": Subcommand(
        "run the paper's theory, an experiment at a time",
        "Run an experiment on the paper's theory: print a table and which of the paper's claims hold, and write "
        "verdict.json, data.csv and a picture into a new folder below runs/.",
        fill=partial(_add_list, entries=EXPERIMENTS, what="experiments"),
        shows_help=True,
    ),
    "validate": Subcommand("evaluate a checkpoint on the validation set", trains=True, shows_help=True),
    "test": Subcommand("evaluate a checkpoint on the test set", trains=True, shows_help=True),
    "predict": Subcommand("write a checkpoint's predictions on the test set", trains=True, shows_help=True),
    "configs": Subcommand(
        "list the configurations that come with parity-lightning, or copy one",
        "List the configurations that come with parity-lightning. fit --config NAME takes one as it is where there is "
        "no file of that name; configs copy NAME writes it into the current folder.",
    ),
    "new": Subcommand(
        "write a module, a configuration and a test to begin a network of your own with",
        "Write NAME.py with a small network, NAME.yaml with a configuration that trains it, and test_NAME.py into the "
        "current folder; all three work as they are. Nothing is overwritten.",
        fill=_add_new_options,
        first="the network a name: parity-lightning new NAME",
        shows_help=True,
    ),
}


def trains(word: str) -> bool:
    """Whether a word is a subcommand with options that come from classes of Lightning's."""
    return word in SUBCOMMANDS and SUBCOMMANDS[word].trains
