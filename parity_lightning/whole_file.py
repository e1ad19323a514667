"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a path to write to; once all is written, that file takes the place of ``path`` at once.

    Whoever is killed in between leaves what was there before.

    Args:
        path: The file in the end; its folder must be there.

    Yields:
        A path in the same folder, with the same ending.
    """
    new = path.with_name(f".new-{path.name}")
    try:
        yield new
        with new.open("rb") as file:
            # Or a crash of the machine might leave the new name and not the content.
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
