"""What a command says when it cannot go on: one line, and an exit status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from parity_lightning.cli.refusals import refusal
from parity_lightning.cli.usage import usage_error
from parity_lightning.errors import RunError, SettingError, UsageError
from parity_lightning.terminal.output import complain


@contextmanager
def one_line_errors(
    command: str, *, resumes: bool = False, explain: Callable[[SettingError], str] = refusal
) -> Iterator[None]:
    """Tells errors in one line, and ends the command.

    Args:
        command: The subcommand.
        resumes: Whether the same command goes on where it ended.
        explain: A refused setting in one line, by the name that it has in this command.

    Raises:
        SystemExit: With 2 for a usage error, 1 if the command cannot go on or a file cannot be written, 130 if a
            command that resumes was interrupted.
    """
    try:
        yield
    except UsageError as error:
        usage_error(command, str(error))
    except SettingError as error:
        usage_error(command, explain(error))
    except KeyboardInterrupt:
        if not resumes:
            raise
        complain("\ninterrupted; the same command goes on from here")
        raise SystemExit(130) from None
    except (RunError, OSError) as error:
        message = str(error)
        if isinstance(error, OSError):
            message = f"{error.filename or 'a file'} cannot be read or written ({error.strerror or error})"
            message += "; what was written before is whole" * resumes
        if resumes and getattr(error, "repeatable", True):
            message += "; the same command goes on from here"
        complain(f"parity-lightning {command}: {message}")
        raise SystemExit(1) from None
