"""Writing files where there are none yet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from parity_lightning.errors import SettingError


def write_new_files(texts: Mapping[Path, str]) -> None:
    """Writes all of some files, or none if one is there already.

    Args:
        texts: Their texts, by their paths.

    Raises:
        SettingError: If one is there.
        OSError: If one cannot be written.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.txt"
        >>> write_new_files({file: "first"}), file.read_text()
        (None, 'first')
    """
    for path in texts:
        if os.path.lexists(path):
            raise SettingError(str(path), None, "is here already; move it away or rename it first")
    for path, text in texts.items():
        # "x": a file that has come in the meantime is not replaced.
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
