"""Usage errors: one line, exit 2."""

from __future__ import annotations

from typing import NoReturn

from parity_lightning.terminal.output import complain


def usage_error(subcommand: str, message: str) -> NoReturn:
    """Prints ``message`` as one line on standard error and exits with 2."""
    command = f"parity-lightning {subcommand}".rstrip()
    complain(f"{command}: error: {' '.join(message.split())}")
    raise SystemExit(2)
