"""Building the steps in C++ while Python imports torch and Lightning: both take seconds, each of a core."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

from parity_lightning.cli.cores import cores


def build_ahead() -> None:
    """Begins to build the library for 32 bits, unless it is there, and does not wait: who loads it does.

    What fails here fails again there, and is told there.
    """
    if cores() > 1:
        Thread(target=_build, name="build the steps in C++").start()


def _build() -> None:
    from parity_lightning.engine.native.shared_library import build_library
    from parity_lightning.engine.not_compiled import NotCompiled
    from parity_lightning.errors import SettingError

    with suppress(NotCompiled, SettingError, OSError):
        build_library("float")
