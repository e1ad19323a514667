"""Compiled functions are native code: what others could have written is refused, what is damaged is built again."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from compiled_stacks import DOUBLE, compare_compiled_with_eager, weights_after
from conftest import CONFIGS, Run, complaint
from test_trials_stack import Case, runner_of
from torch.fx.experimental.proxy_tensor import make_fx

from parity_lightning.engine.compiled import _distinct_trial_count, _fingerprint
from parity_lightning.engine.library_cache import cache_folder, is_whole, private_cache
from parity_lightning.engine.trial import TrialSpec
from parity_lightning.errors import SettingError
from parity_lightning.modules import ParityModule

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
    assert fit("--trainer.max_steps=50", "--model.compile_after=null").summary["compiled"] is None


class Product(torch.nn.Module):
    """Multiplies what it is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.prod(x, -1, keepdim=True)


class Multiplying(ParityModule):
    """A small network without a closed form."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(torch.nn.Sequential(torch.nn.Linear(n, 3), Product()), **kwargs)


STACK = Case("online", ("--model=test_library_cache.Multiplying", "--allow_code_from=test_library_cache", *DOUBLE))


@pytest.mark.compiles
def test_a_damaged_library_is_built_again_once_and_stacks_of_any_size_do_what_eager_ones_do(
    cache: Path, capsys: Capture
) -> None:
    """Of one network: what compiles it once for all of this shows takes half a minute.

    Its steps cannot be compiled for any number of trials, because of the product, and its evaluations can.
    """
    # The first trace of a process imports what sets the variable.
    name, elsewhere = name_of_step(STACK), os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    # Of a process that was killed, or of a disk that was full for a moment; and what such a process leaves.
    library = private_cache() / f"{name}-single.pt2"
    library.write_bytes(b"PK")
    library.chmod(0o600)
    (left := cache / f"{name}-building-x").mkdir()
    compare_compiled_with_eager(STACK, trials=2)
    said = capsys.readouterr().err
    assert said.count(f"{library} is damaged; it is built again") == 1
    assert said.count("compiling for this network") == 2
    (evaluation,) = set(cache.glob("*.pt2")) - {library}
    assert not evaluation.stem.endswith("-single")
    assert not left.exists()
    assert mode_of(library) == 0o600
    # The process is as it was.
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") == elsewhere
    # The compiler's own files lie there too, and all is the user's alone.
    assert any((cache / "compiler").iterdir())
    for path in cache.rglob("*"):
        assert not mode_of(path) & 0o077, path

    for trials in (1, 5):
        compare_compiled_with_eager(STACK, trials)
    assert capsys.readouterr().err == ""
    assert set(cache.glob("*.pt2")) == {library, evaluation}

    # One bit.
    assert is_whole(library)
    content = bytearray(library.read_bytes())
    content[len(content) // 2] ^= 1
    (cache / "changed.pt2").write_bytes(content)
    assert not is_whole(cache / "changed.pt2")

    library.chmod(0o666)
    with pytest.raises(SettingError, match=rf"others can write there \(mode 0666\).*chmod -R go-rwx {library}"):
        weights_after(STACK, 2, 1, compiled=True)
    assert library.exists()


def name_of_step(case: Case) -> str:
    """What the steps of a network are called in the folder."""
    runner = runner_of(case, 2)
    with torch.no_grad():
        for seed in range(2):
            runner.add(TrialSpec(seed, 0, seed))
        setting, stack = runner._settings[0], runner.stack
        x, y = setting.parity.draw(torch.arange(2 * setting.batch_size).reshape(2, -1))
        example = [x.double(), y.double(), *stack.tensors[4:]]
        number = _distinct_trial_count(example)
        given = [torch.cat([tensor[:1]] * number) for tensor in example]
        return _fingerprint(make_fx(stack._traced.update)(*(tensor.clone() for tensor in given)), given)


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 1000])
def test_what_is_no_library_is_not_whole(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "library.pt2").write_bytes(content)
    assert not is_whole(tmp_path / "library.pt2")
