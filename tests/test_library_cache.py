"""Compiled functions are native code: what others could have written is refused, what is damaged is built again."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from conftest import CONFIGS, Run, complaint
from torch.fx.experimental.proxy_tensor import make_fx

from parity_lightning.engine.compiled import _distinct_trial_count, _fingerprint, compile_stacked
from parity_lightning.engine.library_cache import cache_folder, is_whole, private_cache
from parity_lightning.errors import SettingError

Capture = pytest.CaptureFixture[str]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "above" / "cache"
    monkeypatch.setenv("PARITY_LIGHTNING_CACHE", str(folder))
    return folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_made_for_one_user(cache: Path) -> None:
    before = os.umask(0)
    try:
        assert private_cache() == cache
    finally:
        os.umask(before)
    assert mode_of(cache) == mode_of(cache.parent) == 0o700
    assert private_cache() == cache


@pytest.mark.parametrize("mode", [0o777, 0o772, 0o702, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(mode: int, cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(mode)
    with pytest.raises(SettingError, match=rf"CACHE={cache}: others can write .*chmod -R go-rwx {cache}"):
        private_cache()
    cache.chmod(0o755)
    private_cache()


def test_a_group_of_ones_own_may_write(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o770)
    # Whether root, or whoever runs the tests, has a group of its own is a matter of the machine.
    user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(cache.stat().st_gid)
    alone = (group.gr_name, group.gr_gid) == (user.pw_name, user.pw_gid) and set(group.gr_mem) <= {user.pw_name}
    with nullcontext() if alone else pytest.raises(SettingError, match="others can write"):
        private_cache()
    if os.geteuid() == 0:
        os.chown(cache, 0, 65534)
        with pytest.raises(SettingError, match="others can write"):
            private_cache()


def test_the_variable_may_be_empty_or_begin_with_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARITY_LIGHTNING_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/parity-lightning")
    monkeypatch.setenv("PARITY_LIGHTNING_CACHE", "~/cache")
    assert cache_folder() == Path.home() / "cache"


def test_a_file_is_no_folder(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("")
    with pytest.raises(SettingError, match="is no folder"):
        private_cache()


def test_so_is_one_that_others_could_replace(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.parent.chmod(0o777)
    with pytest.raises(SettingError, match=f"others can write to {cache.parent} above it"):
        private_cache()
    # As /tmp is: names are their owners'.
    cache.parent.chmod(0o1777)
    private_cache()


def test_a_link_to_a_safe_folder_is_followed_and_another_not(cache: Path, tmp_path: Path) -> None:
    cache.parent.mkdir()
    (tmp_path / "there").mkdir(mode=0o700)
    cache.symlink_to(tmp_path / "there")
    private_cache()
    (tmp_path / "there").chmod(0o777)
    with pytest.raises(SettingError, match="others can write"):
        private_cache()


@needs_root
def test_a_folder_of_another_user_is_refused(cache: Path) -> None:
    cache.mkdir(parents=True)
    os.chown(cache, 65534, 65534)
    with pytest.raises(SettingError, match="belongs to another user"):
        private_cache()


def test_what_needs_the_folder_is_refused_before_it_begins(cache: Path, tmp_path: Path, capsys: Capture) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    where = f"--trainer.default_root_dir={tmp_path / 'runs'}"
    common = [f"--config={CONFIGS / 'online.yaml'}", "--trainer.accelerator=cpu", where]
    for arguments in (["fit", *common, "--model.compile_after=0"], ["trials", "--trials=3", *common]):
        line = complaint(arguments, capsys)
        assert f"$PARITY_LIGHTNING_CACHE={cache}: others can write there (mode 0777)" in line
        assert f"chmod -R go-rwx {cache}" in line
    assert not (tmp_path / "runs").exists()


def test_who_compiles_nothing_does_not_need_it(cache: Path, fit: Callable[..., Run]) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert fit("--trainer.max_steps=50").summary["compiled"] is None


def squared(x: torch.Tensor) -> tuple[torch.Tensor]:
    return (x * x,)


def check(capsys: Capture) -> str:
    """Compiles and runs; returns what was said."""
    given = torch.arange(6.0).reshape(2, 3)
    torch.testing.assert_close(compile_stacked(squared, [given])([given])[0], given * given)
    return capsys.readouterr().err


@pytest.mark.compiles
def test_a_library_that_is_damaged_is_built_again_once(cache: Path, capsys: Capture) -> None:
    # Of a process that was killed, or of a disk that was full for a moment; and what such a process leaves.
    library = private_cache() / f"{name_of(squared)}.pt2"
    # The first trace of a process imports what sets the variable.
    elsewhere = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    library.write_bytes(b"PK")
    library.chmod(0o600)
    (left := cache / f"{library.stem}-building-x").mkdir()
    said = check(capsys)
    assert f"{library} is damaged; it is built again" in said
    assert "compiling" in said
    assert list(cache.glob("*.pt2")) == [library]
    assert check(capsys) == ""
    assert not left.exists()
    assert mode_of(library) == 0o600
    # The process is as it was.
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") == elsewhere
    for path in cache.rglob("*"):
        assert not mode_of(path) & 0o077, path

    # One bit.
    assert is_whole(library)
    content = bytearray(library.read_bytes())
    content[len(content) // 2] ^= 1
    (cache / "changed.pt2").write_bytes(content)
    assert not is_whole(cache / "changed.pt2")

    library.chmod(0o666)
    with pytest.raises(SettingError, match=rf"others can write there \(mode 0666\).*chmod -R go-rwx {library}"):
        check(capsys)
    assert library.exists()


def name_of(function: Callable[..., tuple[torch.Tensor, ...]]) -> str:
    """What a function of two rows of three numbers is called in the folder."""
    number = _distinct_trial_count([torch.zeros(2, 3)])
    arguments = [torch.zeros(number, 3)]
    return _fingerprint(make_fx(function)(*arguments), arguments)


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 1000])
def test_what_is_no_library_is_not_whole(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "library.pt2").write_bytes(content)
    assert not is_whole(tmp_path / "library.pt2")
