"""What the project promises about itself: its README, its layout, its public names."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from parsed import Parsed
from torch import nn

import parity_lightning
from parity_lightning import SGDW, PiecewiseSchedule, optim
from parity_lightning.cli import main
from parity_lightning.cli.command_tree import command_tree
from parity_lightning.cli.shipped_configs import instead_of
from parity_lightning.cli.trials import parse_options
from parity_lightning.studies.sweep_file import SweepFile
from parity_lightning.studies.variations import combinations_of, parse_variation

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
    assert {"help", "install", "run", "test", "lint", "types", "architectures", "bench", "build", "clean"} <= set(verbs)
    assert set(re.findall(r"make ([a-z-]+)", README)) <= set(verbs)


def test_the_readmes_files_exist() -> None:
    for path in re.findall(r"(?:configs|examples|docs|benchmarks)/[\w./-]+\.\w+", README):
        assert (ROOT / path).is_file(), path


def classes_of(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(source, names)
    return names


GUIDE = ROOT / "docs" / "your_own_architecture.md"


@pytest.mark.parametrize(
    ("page", "file", "name"),
    [(ROOT / "docs" / "next_steps.md", "my_network.py", "MyNetwork"), (GUIDE, "gated_mlp.py", "GatedMLP")],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_a_network_on_a_page_is_the_examples(page: Path, file: str, name: str) -> None:
    source = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)[0]
    networks = []
    for text in (source, (ROOT / "examples" / file).read_text()):
        torch.manual_seed(0)
        networks.append(classes_of(text)[name](n=6))
    x = torch.randn(4, 6)
    assert torch.equal(networks[0](x), networks[1](x))


def test_the_guides_architecture_is_short_and_keeps_the_contract() -> None:
    source, check, progress = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    assert len(source.splitlines()) < 20
    names = classes_of(f"import torch\n{source}\n{progress}")
    assert names["GatedMLP"](n=6, width=3).first_layer.shape == (6, 6)
    exec(check, names)
    names["test_gated_mlp"]()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_docs_commands_and_links_are_right(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text()
    here = ROOT
    for link in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        monkeypatch.chdir(here)
        for line in block.splitlines():
            program, *arguments = shlex.split(line.partition(" > ")[0], comments=True)
            if program in ("wandb", "make") or "runs/RUN/" in line or arguments[0].startswith("--print_completion"):
                continue
            if program == "cd":
                monkeypatch.chdir(arguments[0])
                monkeypatch.syspath_prepend(Path.cwd())
            elif program == "wandb":
                # W&B's own, which test_wandb_sweeps.py runs.
                assert arguments[0] in ("login", "sweep", "agent")
                if arguments[0] == "sweep":
                    SweepFile.of(arguments[1])
            else:
                if program == "torchrun":
                    arguments = arguments[arguments.index("parity_lightning") + 1 :]
                else:
                    assert program == "parity-lightning"
                # To go on, there must be a run.
                arguments = [each for each in arguments if each not in ("--print_config", "--ckpt_path", "last")]
                if arguments[0] == "new":
                    here = tmp_path
                    monkeypatch.chdir(here)
                    main(arguments)
                    continue
                if arguments[0] in ("theory", "sweep", "results", "figure", "paper", "report"):
                    if arguments[1] != "--list":
                        command_tree().parse_args(arguments)
                    if arguments[0] == "sweep":
                        SweepFile.of(instead_of(arguments[1]) or arguments[1])
                    continue
                if arguments[0] == "trials":
                    given, options = parse_options(arguments[1:])
                    last = combinations_of([parse_variation(text) for text in given.vary])[-1]
                    arguments = ["fit", *options, *(f"--{name}={value}" for name, value in last.items())]
                Parsed.of(arguments)


def test_the_docs_schedule_is_accepted(tmp_path: Path) -> None:
    (source,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "architectures.md").read_text(), flags=re.DOTALL)
    file = tmp_path / "schedule.yaml"
    file.write_text(source)
    config = Parsed.of(["fit", f"--config={ROOT / 'configs' / 'online.yaml'}", f"--config={file}"])
    schedule = config.model.init_args.lr_scheduler.init_args
    optimizer = SGDW([{"params": [nn.Parameter(torch.zeros(1))], "name": "hidden"}])
    assert PiecewiseSchedule(optimizer, **schedule.as_dict()).breakpoints[0] == {
        "lr": [(1000, 0.01)],
        "decay": [(5000, 0.0)],
    }


def test_public_names_are_there() -> None:
    for name, home in parity_lightning._HOMES.items():
        found = getattr(parity_lightning, name)
        assert found.__name__ == name
        assert found is getattr(import_module(home), name)
    assert {"__version__", *parity_lightning._HOMES} == set(parity_lightning.__all__)
    assert optim.SGDW is parity_lightning.SGDW
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = parity_lightning.Nothing


def test_the_link_to_the_callbacks_resolves() -> None:
    link = ROOT / "callbacks"
    if not link.is_symlink():
        pytest.skip("this checkout has no symbolic links")
    assert link.resolve() == (ROOT / "parity_lightning" / "callbacks").resolve()
    assert not Path(link.readlink()).is_absolute()
