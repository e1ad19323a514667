"""Usage errors: one line, exit 2."""

from __future__ import annotations

import sys
from typing import NoReturn


def usage_error(subcommand: str, message: str) -> NoReturn:
    """Prints ``message`` as one line on standard error and exits with 2."""
    command = f"parity-lightning {subcommand}".rstrip()
    print(f"{command}: error: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(2)
