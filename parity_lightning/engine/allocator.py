"""Keeping freed memory in the process: the next step needs as much again."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from functools import cache

# Of glibc's <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 2**30


@cache
def keep_freed_memory() -> None:
    """Has the C library keep up to 1 GiB of freed memory instead of giving it back to the system after every step.

    Steps of wide networks take half as long again when every tensor comes from the system anew, page by page. Nothing
    happens where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(ctypes.util.find_library("c"))
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(_MMAP_THRESHOLD, _KEPT)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
