"""What the project promises about itself: its README, its layout, its public names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from conftest import ROOT, Parsed

import parity_lightning
from parity_lightning import ParityModule

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if kind == "bash" for line in block.splitlines()]


@pytest.mark.parametrize(
    "line", [line for line in COMMANDS if line.startswith("parity-lightning fit --config configs")]
)
def test_the_readmes_commands_are_accepted(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    _, *arguments = shlex.split(line, comments=True)
    if "--print_config" in arguments:
        arguments.remove("--print_config")
    config = Parsed.of(arguments)
    assert config.data.init_args.k in (3, 4)


def test_the_readmes_verbs_exist() -> None:
    verbs = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert {"help", "install", "run", "test", "lint", "types", "bench", "build", "clean"} <= set(verbs)
    assert set(re.findall(r"make ([a-z-]+)", README)) <= set(verbs)


def test_the_readmes_files_exist() -> None:
    for path in re.findall(r"(?:configs|examples|docs|benchmarks)/[\w./-]+\.\w+", README):
        assert (ROOT / path).is_file(), path


def test_the_readmes_network_is_the_examples() -> None:
    (source,) = (block for kind, block in BLOCKS if kind == "python")
    networks = []
    for text in (source, (ROOT / "examples" / "my_network.py").read_text()):
        names: dict[str, type[ParityModule]] = {}
        exec(text, names)
        torch.manual_seed(0)
        networks.append(names["MyNetwork"](n=6, units=3))  # type: ignore[call-arg]
    x = torch.randn(4, 6)
    assert torch.equal(networks[0](x), networks[1](x))


def test_public_names_are_there() -> None:
    for name in parity_lightning.__all__:
        assert getattr(parity_lightning, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = parity_lightning.Nothing


def test_the_link_to_the_callbacks_resolves() -> None:
    link = ROOT / "callbacks"
    if not link.is_symlink():
        pytest.skip("this checkout has no symbolic links")
    assert link.resolve() == (ROOT / "parity_lightning" / "callbacks").resolve()
    assert not Path(link.readlink()).is_absolute()
