"""What somebody has who has no checkout: the configurations that come with the package, and files to begin with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CONFIGS, complaint
from parsed import Parsed

from parity_lightning.callbacks import ProgressPicture
from parity_lightning.cli import main
from parity_lightning.cli.fit_settings import FitSettings
from parity_lightning.cli.shipped_configs import instead_of, shipped_names
from parity_lightning.studies.sweep_file import SweepFile

FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_configuration_is_listed_with_its_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["configs"])
    lines = capsys.readouterr().out.splitlines()
    listed = dict(line.split(maxsplit=1) for line in lines if line.startswith("  "))
    assert sorted(listed) == FILES
    for name, told in listed.items():
        assert (CONFIGS / name).read_text().startswith(f"# {told}\n")


def test_a_configuration_is_found_by_its_name() -> None:
    for name in FILES:
        for given in (name, f"configs/{name}", f"./configs/{name}", name.removesuffix(".yaml")):
            assert instead_of(given) == CONFIGS / name
    found = Parsed.of(["fit", "-c", "architectures/xv", "--config=configs/loggers/wandb.yaml"]).as_dict()
    files = (CONFIGS / "architectures" / "xv.yaml", CONFIGS / "loggers" / "wandb.yaml")
    there = Parsed.of(["fit", *(f"--config={file}" for file in files)]).as_dict()
    assert {**found, "config": 0} == {**there, "config": 0}


def fit(*options: str) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(ProgressPicture, "finish", lambda *_: None)
        main(["fit", *options, "--trainer.accelerator=cpu", "--trainer.max_steps=2"])
    (file,) = Path("runs").glob("*/summary.json")
    summary: dict[str, Any] = json.loads(file.read_text())
    return summary


def test_fit_says_in_one_line_which_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--config", "configs/online.yaml", "--config=architectures/v.yaml", "--data.n=20")["n"] == 20
    told = [line for line in capsys.readouterr().err.splitlines() if "no such file" in line]
    assert told == [
        f"configs/online.yaml, architectures/v.yaml: no such file here; taken from those of parity-lightning, {CONFIGS}"
    ]


def test_a_file_of_that_name_is_taken_and_nothing_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("online.yaml").write_text((CONFIGS / "online.yaml").read_text().replace("n: 50", "n: 19"))
    assert fit("--config=online.yaml")["n"] == 19
    assert "no such file" not in capsys.readouterr().err


def test_a_study_says_it_once_for_all_its_cells(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"architectures/{name}.yaml" for name in ("v", "xv")]
    cells = [{"config": name} for name in [*names, *names]]
    planned = FitSettings(["-conline.yaml", "--config=loggers/wandb.yaml"], cells, compiled=False)
    assert planned.varied_in(cells[0]) != planned.varied_in(cells[1])
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("online.yaml, loggers/wandb.yaml, architectures/v.yaml and 1 more: no such file here;")


def test_sweep_finds_its_file_and_what_that_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SweepFile.of(CONFIGS / "sweeps" / "first.yaml")
    # One cell, for each takes time to parse.
    monkeypatch.setattr(SweepFile, "of", lambda path: replace(whole, path=path, axes={}))
    with pytest.raises(SystemExit):
        main(["sweep", "sweeps/first.yaml", "--decided_at=99"])
    first, second, refused = capsys.readouterr().err.splitlines()
    assert first.startswith("sweeps/first.yaml: no such file here; taken from")
    assert second.startswith("configs/online.yaml, configs/loggers/wandb.yaml: no such file here; taken from")
    assert "--decided_at=99: must be at most the number of trials, 10" in refused


def test_sweep_refuses_a_name_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "FILE=sweeps/none.yaml: no such file" in complaint(["sweep", "sweeps/none.yaml"], capsys)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("onlin.yaml", "did you mean online.yaml?"),
        ("configs/architectures/xvi.yaml", "did you mean architectures/x"),
        ("../configs/online.yaml", "no such file, here or in the list of parity-lightning configs"),
    ],
)
def test_a_name_that_is_none_is_refused(given: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint(["fit", f"--config={given}"], capsys)
    assert f"--config={given}: no such file" in line
    assert told in line


def test_copy_writes_a_configuration_here_and_overwrites_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    main(["configs", "copy", "architectures/xiv"])
    assert capsys.readouterr().out == "wrote xiv.yaml\n"
    assert Path("xiv.yaml").read_bytes() == (CONFIGS / "architectures" / "xiv.yaml").read_bytes()
    Path("xiv.yaml").write_text("mine")
    assert "configs copy: error: xiv.yaml: is here already" in complaint(
        ["configs", "copy", "configs/architectures/xiv.yaml"], capsys
    )
    assert Path("xiv.yaml").read_text() == "mine"
    assert "onlin: no such configuration; did you mean online.yaml?" in complaint(["configs", "copy", "onlin"], capsys)
    assert "give a NAME" in complaint(["configs", "copy"], capsys)
    assert "cpy: no such action; parity-lightning configs copy" in complaint(["configs", "cpy", "online"], capsys)
    assert [path.name for path in Path().iterdir()] == ["xiv.yaml"]


def test_new_writes_a_network_that_keeps_the_contract_and_trains(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["new", "fresh_network"])
    assert sorted(path.name for path in Path().iterdir()) == [
        "fresh_network.py",
        "fresh_network.yaml",
        "test_fresh_network.py",
    ]
    assert "parity-lightning fit --config fresh_network.yaml" in capsys.readouterr().out
    monkeypatch.syspath_prepend(Path.cwd())
    tests: dict[str, Any] = {}
    exec(Path("test_fresh_network.py").read_text(), tests)
    checks: list[Callable[[], None]] = [test for name, test in tests.items() if name.startswith("test_")]
    assert len(checks) == 2
    for check in checks:
        check()
    settings = yaml.safe_load(Path("fresh_network.yaml").read_text())
    assert settings["trainer"]["max_steps"] == 100_000
    summary = fit("--config=fresh_network.yaml")
    assert (summary["architecture"], summary["n"]) == ("fresh_network.FreshNetwork", 20)


def test_new_overwrites_nothing_and_takes_no_name_of_another_module(capsys: pytest.CaptureFixture[str]) -> None:
    Path("test_mine.py").write_text("mine")
    for name in ("mine", "Mine"):
        assert "new: error: test_mine.py: is here already" in complaint(["new", name], capsys)
    assert "json: is a name of Python's or of an installed package" in complaint(["new", "json"], capsys)
    assert "class: is a name of Python's" in complaint(["new", "class"], capsys)
    assert "a-b: must be letters, digits and underscores" in complaint(["new", "a-b"], capsys)
    assert "c: belongs to no option" in complaint(["new", "b", "c"], capsys)
    assert [path.name for path in Path().iterdir()] == ["test_mine.py"]
    assert Path("test_mine.py").read_text() == "mine"


def test_those_in_no_folder_are_listed_first() -> None:
    count = len(list(CONFIGS.glob("*.yaml")))
    assert not any("/" in name for name in shipped_names()[:count])
    assert all("/" in name for name in shipped_names()[count:])
