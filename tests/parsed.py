"""What a command line is parsed to."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from parity_lightning.cli.training import ParityCLI


class Parsed(ParityCLI):
    """Parses and stops there."""

    parsed: ClassVar[Any]

    def before_instantiate_classes(self) -> None:
        """Stops."""
        Parsed.parsed = self.config[self.subcommand]
        raise InterruptedError

    @classmethod
    def of(cls, arguments: list[str]) -> Any:
        with pytest.raises(InterruptedError):
            cls(arguments)
        return cls.parsed
