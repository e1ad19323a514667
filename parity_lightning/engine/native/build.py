"""What is compiled once and kept in the folder of compiled functions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from parity_lightning.engine.library_cache import check_private, folder_to_build_in
from parity_lightning.terminal.output import complain, note


def build_once(
    path: Path, build: Callable[[Path], None], name: str, duration: str = "some seconds", *, is_awaited: bool = True
) -> None:
    """Builds a file, unless it is there as it was built.

    Args:
        path: The file, in the folder of compiled functions.
        build: Writes it to another path.
        name: What it is, to say that it is compiled.
        duration: How long that takes.
        is_awaited: Whether the user waits for it; then a line says that it is compiled.

    Raises:
        NotCompiled: If ``build`` does.
        SettingError: If others can write to it.
    """
    if not _is_whole(path):
        from filelock import FileLock

        if is_awaited:
            if path.exists():
                complain(f"{path} is damaged; it is built again: {duration}")
            else:
                note(f"compiling {name}, once: {duration}")
        with FileLock(path.with_suffix(".lock"), mode=0o600):
            # Another process may have built it meanwhile.
            if not _is_whole(path):
                _build(path, build)
    check_private(path, "remove it")


def _checksum_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _is_whole(path: Path) -> bool:
    """Whether a file is there, as it was written."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest().encode() == _checksum_file(path).read_bytes()
    except FileNotFoundError:
        return False


def _build(path: Path, build: Callable[[Path], None]) -> None:
    with folder_to_build_in(path.with_suffix("")) as folder:
        new = folder / path.name
        build(new)
        new.chmod(0o600)
        checksum = _checksum_file(new)
        checksum.write_text(hashlib.sha256(new.read_bytes()).hexdigest())
        checksum.chmod(0o600)
        # A file without a checksum counts as none, so a process that is killed in between leaves nothing wrong.
        os.replace(new, path)
        os.replace(checksum, _checksum_file(path))
