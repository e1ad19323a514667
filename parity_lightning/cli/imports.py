"""Imports that take long, without a search for garbage: nothing that is imported is garbage.

Lightning and torch make some 700,000 objects. Python looks through them again and again while they come, and afterwards
whenever it looks for garbage: a third of the time of a short command.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_nothing() -> Iterator[None]:
    """Looks for no garbage meanwhile; if torch is imported meanwhile, what there is by then is never looked through."""
    if not gc.isenabled() or "torch" in sys.modules:
        # The process is somebody else's, or nothing heavy is left to import.
        yield
        return
    gc.disable()
    try:
        yield
        if "torch" in sys.modules:
            gc.freeze()
    finally:
        gc.enable()
