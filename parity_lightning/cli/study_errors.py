"""What a command that runs trials says when it cannot go on: one line, and an exit status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from parity_lightning.cli.refusals import refusal
from parity_lightning.cli.usage import usage_error
from parity_lightning.engine.trial import MixedComputation
from parity_lightning.errors import SettingError, UsageError
from parity_lightning.studies.executors import WorkerFailed
from parity_lightning.terminal.output import complain


@contextmanager
def told_in_one_line(command: str) -> Iterator[None]:
    """Tells errors in one line.

    Args:
        command: The subcommand.

    Raises:
        SystemExit: With 2 for a usage error, 1 if settings failed or a file cannot be written, 130 if interrupted.
    """
    try:
        yield
    except UsageError as error:
        usage_error(command, str(error))
    except SettingError as error:
        usage_error(command, refusal(error))
    except KeyboardInterrupt:
        complain("\ninterrupted; the same command goes on from here")
        raise SystemExit(130) from None
    except (MixedComputation, WorkerFailed) as error:
        complain(f"parity-lightning {command}: {error}; the same command goes on from here")
        raise SystemExit(1) from None
    except OSError as error:
        message = f"{error.filename} cannot be written ({error.strerror}); what was written before is whole"
        complain(f"parity-lightning {command}: {message}")
        raise SystemExit(1) from None
