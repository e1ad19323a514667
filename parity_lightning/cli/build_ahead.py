"""Building the steps in C++ while Python imports torch and Lightning: each keeps one core busy for seconds."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

from parity_lightning.cli.cores import cores


def build_ahead() -> None:
    """Starts to build the library for 32 bits, unless it is there.

    Who loads it waits, is told so, and gets the error if there is one. A command that ends before does not wait.
    """
    if cores() > 1:
        Thread(target=_build, name="build the steps in C++", daemon=True).start()


def _build() -> None:
    from parity_lightning.engine.native.shared_library import build_library
    from parity_lightning.engine.not_compiled import NotCompiled
    from parity_lightning.errors import SettingError

    with suppress(NotCompiled, SettingError, OSError):
        build_library("float", is_awaited=False)
