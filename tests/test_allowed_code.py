"""A configuration runs nothing but the classes it may name; one found beside a checkpoint fewer still."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CONFIGS, Run, complaint

from parity_lightning.cli import main

Capture = pytest.CaptureFixture[str]

MODULE = """
import pathlib
from torch import nn, optim
from parity_lightning import ParityModule

pathlib.Path({mark!r}).touch()

class Net(ParityModule):
    def __init__(self, n: int, **kwargs):
        super().__init__(nn.Sequential(nn.Linear(n, 9), nn.ReLU(), nn.Linear(9, 1)), **kwargs)

def ramp(step: int) -> float:
    return min(1.0, step / 10)

def mystery(lr=0.1):
    return lambda parameters: optim.SGD(parameters, lr=lr)
"""


def lambdas(function: str) -> dict[str, Any]:
    return {"class_path": "lightning.pytorch.callbacks.LambdaCallback", "init_args": {"on_fit_start": function}}


def named(class_path: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": init_args}


SHELL = named("os.system", command="touch MARK")
POPEN = named("subprocess.Popen", args=["touch", "MARK"])
HOSTILE = {
    "optimizer": {"model": named("MLP", optimizer=SHELL)},
    "optimizer by way of torch.optim": {"model": named("MLP", optimizer=named("torch.optim.adam.torch.os.system"))},
    "optimizer, a text": {"model": named("MLP", optimizer="os.getcwd")},
    "optimizer, a class": {"model": named("MLP", optimizer=POPEN)},
    "optimizer, a function of lightning": {
        "model": named("MLP", optimizer=named("lightning.fabric.utilities.seed.seed_everything", seed=1))
    },
    "schedule": {"model": named("MLP", lr_scheduler=SHELL)},
    "schedule with a function": {"model": named("MLP", lr_scheduler=named("LambdaLR", lr_lambda="os.system"))},
    "loss": {"model": named("MLP", loss=SHELL)},
    "model": {"model": SHELL},
    "model, a class": {"model": POPEN},
    "data": {"data": SHELL},
    "callback": {"trainer": {"callbacks": [SHELL]}},
    "callback, a class": {"trainer": {"callbacks": [POPEN]}},
    "callback, a text": {"trainer": {"callbacks": "os.system"}},
    "LambdaCallback": {"trainer": {"callbacks": [lambdas("os.getcwd")]}},
    "LambdaCallback by way of lightning": {
        "trainer": {"callbacks": [lambdas("lightning.pytorch.trainer.trainer.os.getcwd")]}
    },
    "LambdaCallback with lightning's": {
        "trainer": {"callbacks": [lambdas("lightning.pytorch.utilities.memory.garbage_collection_cuda")]}
    },
    "logger": {"trainer": {"logger": SHELL}},
    "logger, a class": {"trainer": {"logger": [POPEN]}},
    "profiler": {"trainer": {"profiler": POPEN}},
    "strategy": {"trainer": {"strategy": POPEN}},
    "accelerator": {"trainer": {"accelerator": POPEN}},
    "plugin": {"trainer": {"plugins": [POPEN]}},
    "plugin, a function": {"trainer": {"plugins": SHELL}},
    "unpickler": {"model": named("torch.load", f="evil.ckpt")},
    "hub": {"model": named("torch.hub.load", repo_or_dir="evil/evil")},
    "jsonargparse": {"trainer": {"callbacks": [named("jsonargparse.set_parsing_settings")]}},
}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that importing ``elsewhere_module`` makes, a module that is installed and nobody has allowed."""
    mark, folder = tmp_path / "imported", tmp_path / "site"
    folder.mkdir()
    (folder / "elsewhere_module.py").write_text(MODULE.format(mark=str(mark)))
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("elsewhere_module", None)
    return mark


@pytest.mark.parametrize("case", HOSTILE)
def test_what_may_not_be_named_is_refused_and_not_called(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load((CONFIGS / "online.yaml").read_text())
    for name, value in HOSTILE[case].items():
        content[name] = {**content[name], **value} if name == "trainer" else value
    (tmp_path / "hostile.yaml").write_text(yaml.safe_dump(content))
    (option,) = HOSTILE[case]
    line = complaint(["fit", "--config=hostile.yaml", "--trainer.max_steps=50"], capsys)
    assert f"--{option}" in line
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.yaml"]


def test_trials_refuse_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    for case in ("optimizer", "LambdaCallback with lightning's"):
        (tmp_path / "hostile.yaml").write_text(yaml.safe_dump(HOSTILE[case]))
        configs = [f"--config={CONFIGS / 'online.yaml'}", "--config=hostile.yaml"]
        assert complaint(["trials", "--trials=2", *configs], capsys)
        assert [path.name for path in tmp_path.iterdir()] == ["hostile.yaml"]


@pytest.mark.parametrize("option", ["--model", "--data", "--model.optimizer", "--trainer.callbacks+", "--model.help"])
def test_it_is_refused_on_the_command_line_too(option: str, capsys: Capture) -> None:
    line = complaint(["fit", f"--config={CONFIGS / 'online.yaml'}", f"{option}=subprocess.Popen"], capsys)
    assert "subprocess.Popen" in line


def test_a_module_from_elsewhere_is_imported_only_if_it_is_allowed(
    fit: Callable[..., Run], elsewhere: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [f"--config={CONFIGS / 'online.yaml'}", "--trainer.max_steps=50", "--model=elsewhere_module.Net"]
    line = complaint(["fit", *arguments], capsys)
    assert "--model=elsewhere_module.Net: may not be named here" in line
    assert "--allow_code_from elsewhere_module" in line
    assert not elsewhere.exists()
    run = fit("--trainer.max_steps=50", "--model=elsewhere_module.Net", "--allow_code_from=elsewhere_module")
    assert elsewhere.exists()
    # What was allowed once is not allowed from then on.
    assert "may not be named here" in complaint(["fit", *arguments], capsys)
    # The run's own configuration tells what it was allowed, to those who name it only.
    checkpoint = f"--ckpt_path={run.folder / 'checkpoints' / 'last.ckpt'}"
    main(["test", f"--config={run.folder / 'config.yaml'}", checkpoint])
    capsys.readouterr()
    assert "may not be named here" in complaint(["test", checkpoint], capsys)
    main(["test", checkpoint, "--allow_code_from=[elsewhere_module]"])


def test_functions_are_the_users_own(fit: Callable[..., Run], elsewhere: Path, tmp_path: Path, capsys: Capture) -> None:
    schedule = ["--model.lr_scheduler=LambdaLR", "--model.lr_scheduler.lr_lambda=elsewhere_module.ramp"]
    allowed = "--allow_code_from=elsewhere_module"
    fit("--trainer.max_steps=50", allowed, *schedule)
    arguments = ["fit", f"--config={CONFIGS / 'online.yaml'}", "--trainer.max_steps=50", allowed]
    maker = json.dumps(named("elsewhere_module.mystery", lr=0.1))
    config = tmp_path / "maker.yaml"
    config.write_text(json.dumps({"model": named("MLP", optimizer=json.loads(maker))}))
    assert "annotate its return type" in complaint([*arguments, f"--config={config}"], capsys)
    assert "is a function where a class is needed" in complaint([*arguments, f"--model.optimizer={maker}"], capsys)


@pytest.mark.parametrize(
    ("value", "told"),
    [("[a-b]", "must name packages"), ("3", "must name packages"), ("jsonargparse", "could change what is allowed")],
)
def test_a_package_is_named_as_in_python(value: str, told: str, capsys: Capture) -> None:
    line = complaint(["fit", f"--config={CONFIGS / 'online.yaml'}", f"--allow_code_from={value}"], capsys)
    assert "--allow_code_from" in line
    assert told in line


def test_a_module_beside_the_configuration_needs_no_permission(fit: Callable[..., Run], tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "beside_module.py").write_text(MODULE.format(mark=str(tmp_path / "mark")))
    content = yaml.safe_load((CONFIGS / "online.yaml").read_text())
    content["model"] = {"class_path": "beside_module.Net"}
    (folder / "own.yaml").write_text(yaml.safe_dump(content))
    assert fit("--trainer.max_steps=50", config=folder / "own.yaml").summary["architecture"] == "beside_module.Net"


def test_a_file_called_as_a_module_of_pythons_opens_no_way_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subprocess.py").write_text("")
    (tmp_path / "os").mkdir()
    for name in ("subprocess.Popen", "os.system"):
        line = complaint(["fit", f"--config={CONFIGS / 'online.yaml'}", f"--trainer.callbacks+={name}"], capsys)
        assert "may not be named here" in line


class TestFoundBesideACheckpoint:
    """Of a configuration that nobody has named, model and data are used."""

    @pytest.fixture
    def run(self, fit: Callable[..., Run]) -> Run:
        return fit("--trainer.max_steps=50")

    def with_config(self, run: Run, **changes: Any) -> list[str]:
        path = run.folder / "config.yaml"
        content = yaml.safe_load(path.read_text())
        content["trainer"] |= changes.pop("trainer", {})
        path.write_text(yaml.safe_dump(content | changes))
        return ["test", f"--ckpt_path={run.folder / 'checkpoints' / 'last.ckpt'}"]

    def test_it_gives_the_same_as_when_it_is_named(self, run: Run, capsys: Capture) -> None:
        arguments = self.with_config(run)
        main(arguments)
        found = capsys.readouterr().out
        main(["test", f"--config={run.folder / 'config.yaml'}", arguments[1]])
        assert capsys.readouterr().out == found
        assert "test/accuracy" in found

    def test_no_shell_command_runs(self, run: Run, tmp_path: Path, capsys: Capture) -> None:
        shell = named("os.system", command=f"touch {tmp_path / 'mark'}")
        arguments = self.with_config(run, model=named("MLP", optimizer=shell))
        assert "--model.optimizer=os.system: may not be named here" in complaint(arguments, capsys)
        assert not (tmp_path / "mark").exists()

    def test_it_cannot_allow_itself_anything(self, run: Run, elsewhere: Path, capsys: Capture) -> None:
        model = named("elsewhere_module.Net")
        arguments = self.with_config(run, model=model, allow_code_from=["elsewhere_module"])
        assert "may not be named here" in complaint(arguments, capsys)
        assert not elsewhere.exists()

    def test_a_module_in_the_runs_folder_is_not_imported(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        mark = tmp_path / "mark"
        for folder in (run.folder, run.folder / "package"):
            folder.mkdir(exist_ok=True)
            (folder / "downloaded_module.py").write_text(MODULE.format(mark=str(mark)))
        # A folder whose names are Python's, with the run in it.
        nested = tmp_path / "outer" / "inner"
        shutil.copytree(run.folder, nested)
        (tmp_path / "link").symlink_to(tmp_path / "outer")
        for where, folder, name in (
            (tmp_path, run.folder, "downloaded_module.Net"),
            (run.folder, run.folder, "downloaded_module.Net"),
            (run.folder, run.folder, "package.downloaded_module.Net"),
            (tmp_path, nested, "outer.inner.downloaded_module.Net"),
            (nested, Path("../inner"), "downloaded_module.Net"),
            (nested, tmp_path / "link" / "inner", "downloaded_module.Net"),
            (tmp_path / "link", nested, "inner.downloaded_module.Net"),
        ):
            monkeypatch.chdir(where)
            self.with_config(run._replace(folder=folder), model=named(name))
            line = complaint(["test", f"--ckpt_path={folder / 'checkpoints' / 'last.ckpt'}"], capsys)
            assert f"--model={name}: " in line
            assert not mark.exists()

    def test_loggers_plugins_and_callbacks_of_others_are_left_out(
        self, run: Run, tmp_path: Path, capsys: Capture
    ) -> None:
        trainer = {
            "logger": [named("lightning.pytorch.loggers.CSVLogger", save_dir=str(tmp_path / "elsewhere"))],
            "callbacks": [named("ModelCheckpoint", dirpath=str(tmp_path / "elsewhere")), SHELL],
            "plugins": [POPEN],
            "profiler": POPEN,
        }
        main(self.with_config(run, trainer=trainer))
        assert "test/accuracy" in capsys.readouterr().out
        assert not (tmp_path / "elsewhere").exists()

    @pytest.mark.parametrize("text", ["- a list", "\0", "model: [", "a: !!python/object/apply:os.mkdir [mark]"])
    def test_what_is_no_configuration_is_refused(
        self, text: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.chdir(tmp_path)
        arguments = self.with_config(run)
        (run.folder / "config.yaml").write_text(text)
        assert "is no configuration of a run" in complaint(arguments, capsys)
        assert not (tmp_path / "mark").exists()
