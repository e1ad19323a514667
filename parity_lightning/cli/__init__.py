"""The command line: one entry, ``parity-lightning SUBCOMMAND``.

This module stays light: it imports Lightning only when a subcommand needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from parity_lightning import __version__

SUBCOMMANDS = {
    "fit": "train a network on a sparse parity, show its hidden progress, stop when it is solved",
    "trials": "run many seeds side by side and draw their convergence times",
    "theory": "run the paper's theory, an experiment at a time",
    "validate": "evaluate a checkpoint on the validation set",
    "test": "evaluate a checkpoint on the test set",
    "predict": "write a checkpoint's predictions on the test set",
}

_EXAMPLES = """\
examples:
  parity-lightning fit --config configs/online.yaml
  parity-lightning fit --config configs/online.yaml --data.n 30 --model.optimizer.lr 0.05
  parity-lightning trials --config configs/online.yaml --trials 100
  parity-lightning theory --list
  parity-lightning test --config RUN/config.yaml --ckpt_path RUN/checkpoints/last.ckpt
  parity-lightning fit --help"""


def help_text() -> str:
    """The top-level help."""
    listed = "\n".join(f"  {name:<10} {what}" for name, what in SUBCOMMANDS.items())
    return (
        "usage: parity-lightning [--help] [--version] SUBCOMMAND ...\n\n"
        "Train networks on sparse parities and watch their hidden progress.\n\n"
        f"subcommands:\n{listed}\n\n{_EXAMPLES}"
    )


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command line.

    Args:
        args: Its arguments; those of the process by default.

    Raises:
        SystemExit: With 2 for a usage error, 130 or 143 when interrupted.
    """
    try:
        _main(list(sys.argv[1:] if args is None else args))
    except KeyboardInterrupt:
        # Before or after training; during it, the run says good-bye by itself.
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _main(arguments: list[str]) -> None:
    first = arguments[0] if arguments else "--help"
    if first in ("-h", "--help"):
        print(help_text())
    elif first == "--version":
        print(f"parity-lightning {__version__}")
    elif first == "trials":
        from parity_lightning.cli.trials import run as run_trials

        run_trials(arguments[1:])
    elif first == "theory":
        from parity_lightning.cli.theory import run as run_theory

        run_theory(arguments[1:])
    elif first in SUBCOMMANDS:
        from parity_lightning.cli.training import run

        run(arguments)
    else:
        from parity_lightning.cli.usage import usage_error
        from parity_lightning.errors import nearest

        kind = "option" if first.startswith("-") else "subcommand"
        usage_error("", f"{first}: no such {kind}; {nearest(first, SUBCOMMANDS)}")
