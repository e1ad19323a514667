"""The folder of compiled functions. It must be private to the user, for its files run as native code."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from parity_lightning.errors import SettingError

FOLDER_VARIABLE = "PARITY_LIGHTNING_CACHE"


def cache_folder() -> Path:
    """Where compiled functions are kept: ``$PARITY_LIGHTNING_CACHE``, or ``parity-lightning`` in the user's cache."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given).expanduser().absolute()
    return user_cache_path("parity-lightning", appauthor=False)


def private_cache() -> Path:
    """The folder, made for this user alone if it is not there yet.

    Returns:
        Its path.

    Raises:
        SettingError: If another user owns it or can write to it or to a folder above it, or if it cannot be made.
    """
    folder = cache_folder()
    check_cache()
    try:
        for path in (*reversed(folder.parents), folder):
            if not path.exists():
                path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        message = f"cannot be made ({error.strerror}); set this variable to a folder that can, or compile nothing"
        raise SettingError(f"${FOLDER_VARIABLE}", folder, message) from error
    # Again: another user may have made it in between.
    check_cache()
    return folder


def check_cache() -> None:
    """Refuses the folder, as far as it exists, if another user owns it or can write to it or above it.

    Raises:
        SettingError: If so.
    """
    folder = cache_folder()
    # A path with links in it, and where they lead.
    for place in (folder, folder.resolve()):
        if place.exists():
            if not place.is_dir():
                raise SettingError(f"${FOLDER_VARIABLE}", folder, "is no folder; name one")
            check_private(place, "name a folder of your own")
        for parent in place.parents:
            if parent.exists():
                _check_above(folder, parent)


def check_private(path: Path, advice: str) -> None:
    """Refuses what another user owns or can write to; on Windows, which keeps its own lists, nothing.

    Args:
        path: A file or folder.
        advice: What to do if it belongs to another user.

    Raises:
        SettingError: If it is refused.
    """
    if not hasattr(os, "geteuid"):
        return
    found = path.stat()
    if found.st_uid != os.geteuid():
        message = f"belongs to another user, and what lies there runs as native code; {advice}"
        raise SettingError(f"${FOLDER_VARIABLE}", path, message)
    if _others_can_write(found):
        mode = stat.S_IMODE(found.st_mode)
        message = (
            f"others can write there (mode {mode:04o}), and what lies there runs as native code; "
            f"remove it, or if you trust its content: chmod -R go-rwx {path}"
        )
        raise SettingError(f"${FOLDER_VARIABLE}", path, message)


def _others_can_write(found: os.stat_result) -> bool:
    """Whether other users can write; the group does not count if the user is alone in it."""
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_own_group(found.st_gid)


def _is_own_group(group: int) -> bool:
    """Whether a group is the one that many systems make for each user, of the user's name and with no other member."""
    import grp
    import pwd

    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return (found.gr_name, found.gr_gid) == (user.pw_name, user.pw_gid) and set(found.gr_mem) <= {user.pw_name}


def _check_above(folder: Path, parent: Path) -> None:
    """Refuses a folder above the cache in which others could put another one in its place."""
    if not hasattr(os, "geteuid"):
        return
    found = parent.stat()
    # As in /tmp: names can be changed by their owner only.
    sticky = found.st_mode & stat.S_ISVTX
    if found.st_uid not in (0, os.geteuid()) or (_others_can_write(found) and not sticky):
        message = f"others can write to {parent} above it; name a folder of your own, or: chmod go-w {parent}"
        raise SettingError(f"${FOLDER_VARIABLE}", folder, message)


@contextmanager
def folder_to_build_in(stem: Path) -> Iterator[Path]:
    """A folder beside a library, in which it is built before it is moved to its place; removed in the end.

    Those that killed processes have left are removed, too, so the caller must hold the lock of the library.

    Args:
        stem: The path of the library, but for its ending.
    """
    prefix = f"{stem.name}-building-"
    for left in stem.parent.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=stem.parent, prefix=prefix) as folder:
        yield Path(folder)


@contextmanager
def building_in(folder: Path) -> Iterator[None]:
    """Has PyTorch's compiler keep its files in a folder, too, and makes new files private to the user meanwhile.

    By default it uses a folder below ``/tmp``, which another user may have made before, and links libraries there.
    """
    if folder.exists():
        check_private(folder, "remove it")
    before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    mask = os.umask(0o077)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    try:
        yield
    finally:
        os.umask(mask)
        del os.environ["TORCHINDUCTOR_CACHE_DIR"]
        if before is not None:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = before


def is_whole(library: Path) -> bool:
    """Whether a library, a zip file, is what was written: PyTorch does not compare its checksums."""
    try:
        with zipfile.ZipFile(library) as archive:
            return archive.testzip() is None
    except Exception:
        # A damaged file may raise any exception.
        return False
