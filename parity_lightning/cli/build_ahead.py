"""Building the steps in C++ while Python imports torch and Lightning: each keeps one core busy for seconds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from threading import Thread

from parity_lightning.cli.cores import cores

# Options that have it not built, or built for 64 bits.
_OTHERWISE = ("--model.compile_after", "--trainer.precision", "--print_config")


def build_ahead(words: Sequence[str]) -> None:
    """Starts to build the library for 32 bits, unless it is there.

    Loading the library waits until it is built, and says so. If building fails, loading tries again and reports the
    error. A command that ends before does not wait.

    Args:
        words: The command line.
    """
    if cores() > 1 and not any(word.startswith(_OTHERWISE) for word in words):
        Thread(target=_build, name="build the steps in C++", daemon=True).start()


def _build() -> None:
    from parity_lightning.engine.native.shared_library import build_library
    from parity_lightning.engine.not_compiled import NotCompiled
    from parity_lightning.errors import SettingError

    with suppress(NotCompiled, SettingError, OSError):
        build_library("float", is_awaited=False)
