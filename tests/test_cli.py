"""The command line as a user meets it."""

from __future__ import annotations

import csv
import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from conftest import CONFIGS, ROOT, Run, complaint
from jsonargparse import ArgumentParser
from jsonargparse.typing import PositiveInt
from lightning.pytorch import Trainer
from parsed import Parsed
from processes import begin

from parity_lightning import MLP, ParityDataModule, __version__
from parity_lightning.cli import main, renamed
from parity_lightning.cli.experiment_options import options_class
from parity_lightning.cli.imports import collecting_nothing
from parity_lightning.cli.option_types import in_words, options_of, options_of_class
from parity_lightning.cli.short_help import EVALUATION_OPTIONS, OPTIONS, short_help
from parity_lightning.cli.subcommands import SUBCOMMANDS
from parity_lightning.cli.trainer_settings import DEFAULTS
from parity_lightning.experiments import EXPERIMENTS

ONLINE = f"--config={CONFIGS / 'online.yaml'}"


LIGHT = {
    "version": (["--version"], f"parity-lightning {__version__}"),
    "help": (["--help"], "subcommands:"),
    "nothing": ([], "subcommands:"),
    "a wrong subcommand": (["fti"], "did you mean fit?"),
    "fit": (["fit", "--help"], "--model.width"),
    "test": (["test", "--help"], "--ckpt_path"),
    "trials": (["trials", "--config", "configs/online.yaml", "--help"], "--vary"),
    "theory": (["theory", "--help"], "hidden-progress"),
    "theory --list": (["theory", "--list"], "hidden-progress"),
    "an experiment": (["theory", "kernels", "--help"], "--samples"),
    "a wrong option of an experiment": (["theory", "kernels", "--simples=3"], "did you mean --samples?"),
    "a wrong value of an experiment": (["theory", "kernels", "--samples=x"], "--samples=x: must be a whole number"),
    "configs": (["configs"], "architectures/xiv.yaml"),
    "a wrong name of a configuration": (["configs", "copy", "onlin"], "did you mean online.yaml?"),
    "new": (["new", "--help"], "NAME.yaml"),
    "a wrong name of a network": (["new", "json"], "json: is a name of Python's"),
    "a wrong experiment": (["theory", "kernel"], "did you mean kernels?"),
    "a wrong figure": (["figure", "4-lft"], "4-lft: no such figure; did you mean 4-left?"),
    "a wrong sweep file": (["sweep", "none.yaml"], "FILE=none.yaml: no such file; give the path of a W&B sweep file"),
    "a wrong configuration": (["fit", "--config=onlin.yaml"], "--config=onlin.yaml: no such file"),
    "a wrong number of trials": (["trials", "--config=online.yaml"], "--trials: missing; give the number"),
    "a wrong checkpoint": (["test", "--data.n=5"], "--ckpt_path: missing; give a checkpoint"),
    "fit alone": (["fit"], "fit --config FILE"),
    "predict alone": (["predict"], "predict --ckpt_path FILE"),
}


@pytest.mark.parametrize("case", LIGHT)
def test_help_and_wrong_names_need_no_lightning(case: str) -> None:
    arguments, told = LIGHT[case]
    code = (
        "import sys; from parity_lightning.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print([name for name in ('lightning', 'torch', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    *answer, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert told in (done.stderr if "wrong" in case else "\n".join(answer))
    assert done.returncode == (2 if "wrong" in case else 0)


def test_the_options_of_every_experiment_need_nothing_that_computes() -> None:
    code = (
        "import sys; from contextlib import suppress; from parity_lightning.cli import main\n"
        "for name in sys.argv[1:]:\n"
        "    for option in ('--help', '--nosuch=1'):\n"
        "        with suppress(SystemExit): main(['theory', name, option])\n"
        "    heavy = {'lightning', 'matplotlib', 'numpy', 'scipy', 'torch'} & set(sys.modules)\n"
        "    if heavy: sys.exit(f'{name} imports {heavy}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *EXPERIMENTS], capture_output=True, text=True, check=False)
    assert done.stderr.count("--nosuch: no such option") == len(EXPERIMENTS)
    assert done.stdout.count("--runs") >= len(EXPERIMENTS)
    assert done.returncode == 0, done.stderr.splitlines()[-1]


def test_imports_are_not_searched_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = gc.get_freeze_count()
    with collecting_nothing():
        assert gc.isenabled(), "who has imported torch before keeps its own ways"
    monkeypatch.delitem(sys.modules, "torch")
    with collecting_nothing():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == kept, "nothing heavy was imported"
    with collecting_nothing():
        made = [[] for _ in range(1000)]
        monkeypatch.setitem(sys.modules, "torch", torch)
    assert gc.isenabled()
    assert gc.get_freeze_count() >= kept + len(made)
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(KeyboardInterrupt), collecting_nothing():
        raise KeyboardInterrupt
    assert gc.isenabled()


def help_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def test_the_top_level_help_has_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    answer = help_of(["--help"], capsys).splitlines()
    assert all(any(line.split()[:1] == [name] for line in answer) for name in SUBCOMMANDS)


@pytest.mark.parametrize("subcommand", ["fit", "trials", "validate", "test", "predict"])
def test_all_options_are_listed_on_demand(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed = help_of([subcommand, *(["--trials=1"] if subcommand == "trials" else []), "--help.all"], capsys)
    assert "--trainer.max_steps" in listed
    assert "--model.help" in listed


def test_the_help_of_one_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--model.width" in help_of(["fit", "--model.help", "MLP"], capsys)
    assert "--model.heads" in help_of(["fit", "--model.help=Transformer"], capsys)


def test_the_first_page_is_right() -> None:
    """Every option on it exists, with the default it states."""
    parser = {
        name: part
        for group, kind in (("data", ParityDataModule), ("model", MLP), ("trainer", Trainer))
        for part_name, part in options_of_class(kind).items()
        for name in [f"{group}.{part_name}"]
    }
    own = {"seed_everything": 0, "ckpt_path": None, "model.optimizer.lr": 0.1, "trainer.accelerator": "auto"}
    for entry in (*OPTIONS, *EVALUATION_OPTIONS):
        name = entry.option.partition(" ")[0]
        if name in ("config", "model") or not entry.default:
            assert name in ("config", "model", "data.n", "data.k", "ckpt_path")
            continue
        default = own[name] if name in own else DEFAULTS.get(name.removeprefix("trainer."), None)
        if default is None and name not in own:
            default = parser[name].default
        assert entry.default == ("null" if default is None else str(default)), name
    page = short_help("fit")
    assert 12 <= len(OPTIONS) <= 20
    assert max(map(len, page.splitlines())) <= 120
    assert "--help.all" in page
    given = [f"--{entry.option}={entry.default}" for entry in OPTIONS if entry.default]
    config = Parsed.of(["fit", ONLINE, *given])
    assert config.trainer.max_steps == 100_000


def test_completion_knows_every_option(tmp_path: Path) -> None:
    pytest.importorskip("shtab")
    # In a process that has imported nothing of the tests: all subclasses that a process knows of are completed.
    process = begin(["--print_completion", "shtab-bash"], tmp_path / "script")
    process.join()
    assert process.exitcode == 0
    script = (tmp_path / "script").read_text()
    for subcommand, option in (
        ("fit", "--trainer.max_steps"),
        ("trials", "--stack_size"),
        ("theory_random_search", "--langevin_n"),
        ("test", "--ckpt_path"),
    ):
        (line,) = [
            line
            for line in script.splitlines()
            if line.startswith(f"_shtab_parity_lightning_{subcommand}_option_strings=")
        ]
        assert option in line
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_wrong_kind_of_completion_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--print_completion=cmd: must be jsonschema" in complaint(["--print_completion", "cmd"], capsys)


def test_jsonargparse_keeps_types_where_they_are_read() -> None:
    parser = ArgumentParser()
    parser.add_argument("--number", type=PositiveInt)
    hint = options_of(parser)["number"].hint
    assert hint is PositiveInt, (
        "this jsonargparse keeps an option's type elsewhere; mend _PRIVATE_TYPE in option_types.py"
    )
    words = in_words(hint)
    assert words == "a whole number above 0", "this jsonargparse keeps bounds elsewhere; mend _PRIVATE_BOUNDS there"


OLD_NAMES = {
    "model.layers": (
        ["fit", "--model.layers={hidden: {lr: 0.1}}"],
        "--model.layers: is called --model.param_groups now",
    ),
    "model.screen": (["fit", "--model.screen=8"], "--model.screen: is called --model.val_screen_size now"),
    "DecayedSGD": (["fit", "--model.optimizer=DecayedSGD"], "=DecayedSGD: is called SGDW now"),
    "Timetable": (
        ["trials", "--trials=2", "--model.lr_scheduler=Timetable"],
        "=Timetable: is called PiecewiseSchedule now",
    ),
    "stack": (["trials", "--trials=2", "--stack=3"], "--stack: is called --stack_size now"),
    "vary": (
        ["trials", "--trials=2", "--vary=model.screen=[8,9]"],
        "--model.screen: is called --model.val_screen_size now",
    ),
}


@pytest.mark.parametrize("name", OLD_NAMES)
def test_old_names_are_refused_with_the_new_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (subcommand, *options), told = OLD_NAMES[name]
    assert told in complaint([subcommand, ONLINE, *options], capsys)


@pytest.mark.parametrize("option", [name for name in renamed.OPTIONS if name.startswith("wander")])
def test_old_names_of_random_search(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    new = renamed.OPTIONS[option]
    line = complaint(["theory", "random-search", f"--{option}=3"], capsys)
    assert line == f"parity-lightning theory random-search: error: --{option}: is called --{new} now; use that"
    assert new in options_class(EXPERIMENTS["random-search"].package).__annotations__


def test_old_names_in_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "old.yaml"
    for part, told in (
        ({"layers": {"hidden": {"lr": 0.1}}}, "--model.layers: is called --model.param_groups now"),
        ({"lr_scheduler": {"class_path": "parity_lightning.schedules.Timetable"}}, "is called PiecewiseSchedule now"),
    ):
        file.write_text(yaml.safe_dump({"model": {"class_path": "MLP", "init_args": part}}))
        assert told in complaint(["fit", ONLINE, f"--config={file}"], capsys)


def test_the_nearest_full_path_is_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sine_of_mine.py").write_text(
        "from torch import nn\nfrom parity_lightning import ParityModule\n"
        "class SineNet(ParityModule):\n"
        "    def __init__(self, n: int, layers: int = 1, **kwargs):\n"
        "        super().__init__(nn.Linear(n, layers), **kwargs)\n"
    )
    for arguments, told in (
        (["fit", "--lr", "0.1"], "--lr: no such option; did you mean --model.optimizer.lr?"),
        (
            ["trials", "--trials=2", "--vary", "lr=[0.1,0.2]"],
            "--lr: no such option; did you mean --model.optimizer.lr?",
        ),
        (["trials", "--trials=2", "--worker=3"], "--worker: no such option; did you mean --workers?"),
        (["fit", "--model=sine_of_mine.SinNet"], "did you mean sine_of_mine.SineNet?"),
    ):
        assert told in complaint([arguments[0], ONLINE, *arguments[1:]], capsys)
    # An old name of ours may be a name of somebody's own.
    assert Parsed.of(["fit", ONLINE, "--model=sine_of_mine.SineNet", "--model.layers=1"]).model.init_args.layers == 1


BAD = [
    ("--data.k=0", "--data.k=0: must be at least 1"),
    ("--data.n=0", "--data.n=0: must be at least 1"),
    ("--model.compile_after=never", "--model.compile_after=never: must be a whole number, auto or null"),
    ("--data.k=51", "--data.k=51: must be at most n=50"),
    ("--data.n=3.5", "--data.n=3.5: must be a whole number"),
    ("--data.n=many", "--data.n=many: must be a whole number"),
    ("--data.support=[1,1,2]", "--data.support=[1, 1, 2]: its indices must differ"),
    ("--data.support=[1,2,50]", "--data.support=[1, 2, 50]: its indices must be whole numbers from 0 to n-1=49"),
    ("--data.support=[1,2]", "--data.support=[1, 2]: must have k=3 indices"),
    ("--data.batch_size=0", "--data.batch_size=0: must be at least 1"),
    ("--data.num_samples=0", "--data.num_samples=0: must be at least 1"),
    ("--data.label_noise=0.51", "--data.label_noise=0.51: must be at least 0 and at most 0.5"),
    ("--data.label_noise=-0.1", "--data.label_noise=-0.1: must be at least 0"),
    ("--data.seed=-1", "--data.seed=-1: must be at least 0"),
    ("--model.optimizer.lr=-0.1", "--model.optimizer.lr=-0.1: optimizer refuses it"),
    ("--model.optimizer.lr=.nan", "--model.optimizer.lr=nan: must be a finite number"),
    ("--model.optimizer.lr=nan", "--model.optimizer.lr=nan: must be a number"),
    ("--model.optimizer=Adem", "--model.optimizer=Adem: no such class; did you mean Adam?"),
    ("--model=MPL", "--model=MPL: no such class; did you mean MLP?"),
    ("--model=nowhere.Network", "--model=nowhere.Network: no module named nowhere in this folder"),
    ("--model=json.JSONDecoder", "--model=json.JSONDecoder: may not be named here"),
    ("--model=torch.optim.SGD", "--model=torch.optim.SGD: cannot be used here: it is no LightningModule"),
    ("--model.loss=hing", "--model.loss=hing: did you mean hinge?"),
    ("--model.initialization=gausian", "--model.initialization=gausian: did you mean gaussian?"),
    ("--model.activation=rleu", "--model.activation=rleu: did you mean relu?"),
    ("--model.widht=5", "--model.widht: no such option; did you mean --model.width?"),
    ("--model.n=60", "--model.n=60: the model takes it from the data; set --data.n"),
    ("--data.bacth_size=5", "--data.bacth_size: no such option; did you mean --data.batch_size?"),
    ("--trainer.max_stepz=5", "--trainer.max_stepz: no such option; did you mean --trainer.max_steps?"),
    ("--trainer.max_steps=few", "--trainer.max_steps=few: must be a whole number"),
    ("--trainer.val_check_interval=0", "--trainer.val_check_interval=0: validation would never run"),
    ("--trainer.val_check_interval=0.5", "--trainer.val_check_interval=0.5: validation would never run"),
    (
        "--trainer.val_check_interval=200000",
        "--trainer.val_check_interval=200000: validation would never run; use at most max_steps=100000",
    ),
    ("--trainer.check_val_every_n_epoch=1", "--trainer.check_val_every_n_epoch=1: validation would never run"),
    ("--trainer.callbacks+=Nope", "--trainer.callbacks=Nope: no such class; valid: FourierGap, HiddenProgress"),
    ("--trainer.default_root_dir=/dev/null/runs", "--trainer.default_root_dir=/dev/null/runs: cannot be written"),
    ("--data.label_noise=null", "--data.label_noise=None: must be at least 0"),
    ("--data.n=1000000000000", "not enough memory for a network of this size"),
    ("--data.num_samples=1000000000000", "--data.num_samples=1000000000000: must be at most"),
    ("--data.support=[-1,2,3]", "--data.support=[-1, 2, 3]: its indices must be whole numbers from 0 to n-1=49"),
    ("--model.loss=null", "--model.loss=None: valid:"),
    ("--model.width=100000001", "--model.width=100000001: must be at most 100,000,000"),
    ("--model.optimizer.lrr=1", "--model.optimizer.lrr: no such option"),
    ("--model.optimizer=SparseAdam", "--model.optimizer=SparseAdam: needs sparse gradients"),
    ("--model.lr_scheduler=StepLRR", "--model.lr_scheduler=StepLRR: no such class; did you mean StepLR?"),
    ("--model.lr_scheduler=StepLR", "--model.lr_scheduler.step_size: missing"),
    ("--model=null", "--model=null: must be the name of a class"),
    ("--data=", "--data=null: must be the name of a class"),
    ("--trainer=null", "--trainer=null: a group of options; give them one by one, --trainer.OPTION"),
    ("--trainer=5", "--trainer=5: a group of options"),
    ("--data=ParityData", "--data=ParityData: no such class; did you mean ParityDataModule? Valid: ParityDataModule;"),
    ("--seed_everything=-1", "--seed_everything=-1: must be a whole number from 0 to 4294967295"),
    ("--seed_everything=false", "--seed_everything=False: must be a whole number"),
    ("--trainer.max_steps=-5", "--trainer.max_steps=-5: must be at least 0"),
    ("--trainer.max_step=5", "--trainer.max_step: no such option; did you mean --trainer.max_steps?"),
    (
        "--trainer.val_check_interval=00:00:01:00",
        "--trainer.val_check_interval=00:00:01:00: validation would never run",
    ),
    ("--trainer.accumulate_grad_batches=2", "--trainer.accumulate_grad_batches=2: use a larger batch_size"),
    ("--trainer.accumulate_grad_batches=0", "--trainer.accumulate_grad_batches=0: use a larger batch_size"),
    ("--trainer.callbacks+=HiddenProgress", "the trainer cannot be made of these settings"),
    ("--trainer.callbacks+=lightning.pytorch.callbacks.Timer", "config.yaml cannot hold the setting"),
    ("--trainer.devices=abc", "the trainer cannot be made of these settings"),
    ("--conf=nowhere.yaml", "--conf: no such option; did you mean --config?"),
    ("-cnowhere.yaml", "--config=nowhere.yaml: no such file"),
    ("--ckpt_path=last", "--ckpt_path=last: there is no earlier run of these settings below "),
    ("--trainer.devices=3", "--data.batch_size=32: must be a multiple of the 3 devices"),
    ("--ckpt_path=nowhere.ckpt", "--ckpt_path=nowhere.ckpt: no such file"),
    ("--model.initialization=ones", "--model.initialization=ones: makes no sense for MLP; valid: bernoulli"),
    (
        "--model.param_groups={hiden: {lr: 0.1}}",
        "--model.param_groups=hiden: no such layer, or listed before; did you",
    ),
    (
        "--model.param_groups={hidden: {lrr: 0.1}}",
        "--model.param_groups=hidden.lrr: SGD has no such number; did you mean lr?",
    ),
    ("--data.one_per_block=true", "--data.n=50: must be a multiple of k=3 to fall into blocks of equal length"),
]


@pytest.mark.parametrize(("option", "told"), BAD)
def test_bad_input_is_told_in_one_line_and_nothing_is_written(
    option: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"parity-lightning fit: error: {told}" in complaint(
        ["fit", ONLINE, "--trainer.accelerator=cpu", option], capsys
    )
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_value_that_a_later_one_replaces_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint(["fit", ONLINE, "--trainer.plugins={a:1}", "--trainer.plugins=null"], capsys)
    assert "--trainer.plugins={a:1}: must be " in line
    assert "--model.initialization={}: must be " in complaint(["fit", ONLINE, "--model.initialization={}"], capsys)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("disjoint-polynet", ["--data.n=20"], "--data.n=20: must be a multiple of k=3"),
        (
            "disjoint-polynet",
            ["--data.one_per_block=false"],
            "must have one index in each of 3 blocks of 7",
        ),
        ("disjoint-polynet", ["--data.support=[0,1,20]"], "--data.support=[0, 1, 20]: must have one index in each"),
        (
            "xv",
            ["--model.lr_scheduler=PiecewizeSchedule"],
            "PiecewizeSchedule: no such class; did you mean PiecewiseSchedule",
        ),
        ("xv", ["--model.lr_scheduler=StepLR", "--model.lr_scheduler.step_size=0"], "schedule refuses it"),
        (
            "xv",
            ["--model.optimizer=Adam", "--model.param_groups={factors: {betas: 1}}"],
            "factors.betas: Adam has no such",
        ),
        ("xv", ["--model=torch.optim.Nope"], "--model=torch.optim.Nope: no such class in torch.optim; "),
        ("star-iii", ["--model.heads=0"], "--model.heads=0: must be at least 1"),
        ("xii", ["--data.n=40", "--data.k=31"], "k=31: must be at most 30"),
        (
            "xv",
            ["--model.initialization=ones"],
            "--model.initialization=ones: makes no sense for PolyNet",
        ),
        ("xv", ["--model.lr_scheduler=PiecewiseSchedule"], "--model.lr_scheduler.table: missing"),
        (
            "xv",
            ["--model.lr_scheduler=PiecewiseSchedule", "--model.lr_scheduler.table={0: {decay: 0.1}}"],
            "--model.lr_scheduler.table=decay: valid: dampening, lr, momentum, weight_decay",
        ),
        (
            "xv",
            ["--model.lr_scheduler=PiecewiseSchedule", "--model.lr_scheduler.table={0: {factors.lr: 0.1}}"],
            "--model.lr_scheduler.table=factors.lr: no layer has a group of its own; list it in the model's",
        ),
        (
            "xv",
            ["--model.lr_scheduler=PiecewiseSchedule", "--model.lr_scheduler.table={5: {lr: -1}}"],
            "--model.lr_scheduler.table=lr: -1.0: must be a finite number, at least 0",
        ),
    ],
)
def test_bad_combinations_are_refused(
    name: str, options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CONFIGS / "architectures" / f"{name}.yaml"
    folder = f"--trainer.default_root_dir={tmp_path}"
    assert told in complaint(["fit", f"--config={config}", "--trainer.accelerator=cpu", folder, *options], capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file"),
        ("model: [1,\n", "not valid YAML at line 2"),
        ("- 1\n- 2\n", "must hold settings by name"),
        ("trainer: null\n", "its trainer must hold options by name"),
        ("modle: 3\n", "--modle: no such option; did you mean --model?"),
        ("\udcff", "cannot be read"),
    ],
)
def test_a_bad_config_file_is_named(
    content: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.yaml"
    if content is not None:
        file.write_text(content, errors="surrogateescape")
    line = complaint(["fit", f"--config={file}"], capsys)
    assert told in line
    assert str(file) in line or "modle" in line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("model: null\n", "--model=null: must be the name of a class"),
        ("seed_everything: null\n", "--seed_everything=null: must be a whole number"),
        ("data: [2, 1]\nmodel: [1]\n", "--data=[2, 1]: must be the name of a class"),
        ("data: {class_path: ParityDataModule, init_args: null}\n", "--data.init_args=null: must hold options by name"),
        # PyYAML alone takes this for a word.
        ("ckpt_path: 1e400\n", "--ckpt_path=inf: must be a text or null"),
    ],
)
def test_a_setting_of_a_config_file_that_is_none_is_named(
    content: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "given.yaml").write_text(content)
    assert told in complaint(["fit", ONLINE, f"--config={tmp_path / 'given.yaml'}"], capsys)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fti"], "fti: no such subcommand; did you mean fit?"),
        (["--verison"], "--verison: no such option"),
        (["fit", "--seed_everything=1"], "--data, --model: missing; give them, or a --config FILE that has them"),
        (["fit", "--config"], "--config: give a value"),
        (["test", ONLINE], "--ckpt_path: missing; give a checkpoint"),
    ],
)
def test_a_bad_command_is_named(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told in complaint(arguments, capsys)


def test_what_lightning_refuses_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for option in ("--trainer.accelerator=abacus", "--trainer.devices=0", "--trainer.strategy=abacus"):
        assert option.split("=")[1] in complaint(["fit", ONLINE, option], capsys)
        assert list(tmp_path.iterdir()) == []


def test_an_n_of_the_model_in_a_file_is_not_ignored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "model.yaml"
    file.write_text("model:\n  init_args:\n    n: 60\n")
    assert "--model.n=60: the model takes it from the data" in complaint(["fit", ONLINE, f"--config={file}"], capsys)


def test_wrong_files_and_devices_are_refused_with_what_to_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = tmp_path / "summary.json"
    summary.write_text(json.dumps({"solved": True, "steps": 100, "stop_reason": "solved"}))
    line = complaint(["fit", f"--config={summary}"], capsys)
    assert line.endswith("summary.json: is the summary of a run, no configuration; give the config.yaml beside it")
    # Of Lightning's kinds of devices, one that no machine of the tests has.
    line = complaint(["fit", ONLINE, "--trainer.accelerator=tpu"], capsys)
    assert "--trainer.accelerator=tpu: this machine has none that torch can use; use cpu or auto" in line
    line = complaint(["fit", ONLINE, "--trainer.accelerator=cpuu"], capsys)
    assert "--trainer.accelerator=cpuu: no such kind of device; did you mean cpu?" in line


def test_the_report_has_both_seeds_the_precision_and_paths_as_given(fit: Callable[..., Run]) -> None:
    run = fit("--trainer.max_steps=5", "--data.seed=1", "--trainer.precision=16", picture=True)
    headline = run.out.splitlines()[0]
    assert headline == "(20, 3)-parity, online, B=32, seed 0, data seed 1, precision bf16-mixed"
    assert run.summary["precision"] == "bf16-mixed"
    *_, picture, summary = run.out.splitlines()
    assert picture == f"picture: {run.folder / 'progress.png'}"
    assert summary == f"summary: {run.folder / 'summary.json'}"
    assert "--trainer.precision=16: a CPU does not compute in float16; bf16-mixed is used" in run.err.splitlines()
    # Each state of the bar is a line where there is no terminal.
    assert "\r" not in run.err
    assert all(line.startswith(("training: ", "--trainer.precision")) for line in run.err.splitlines())


def test_a_short_run_is_evaluated_at_its_end(fit: Callable[..., Run]) -> None:
    run = fit("--trainer.max_steps=7")
    assert run.summary["steps"] == 7
    assert run.summary["val_accuracy"] is not None


def test_bar_and_checkpoints_can_be_switched_off(fit: Callable[..., Run]) -> None:
    run = fit("--trainer.max_steps=20", "--trainer.enable_progress_bar=false", "--trainer.enable_checkpointing=false")
    assert run.err == ""
    assert not (run.folder / "checkpoints").exists()


def test_one_seed_decides_everything_unless_two_are_given(fit: Callable[..., Run]) -> None:
    def start(*options: str) -> tuple[torch.Tensor, list[int]]:
        run = fit("--trainer.max_steps=1", "--model.optimizer.lr=0", *options)
        checkpoint = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
        saved = yaml.safe_load((run.folder / "config.yaml").read_text())
        assert isinstance(saved["data"]["init_args"]["seed"], int)
        return checkpoint["state_dict"]["network.hidden.weight"], run.summary["support"]

    (weight, support), (again, same), (other, different) = start(), start(), start("--seed_everything=1")
    assert torch.equal(weight, again)
    assert support == same
    assert not torch.equal(weight, other)
    assert support != different
    init_of_0, support_of_1 = start("--data.seed=1")
    assert torch.equal(init_of_0, weight)
    assert support_of_1 == different


def test_the_saved_config_trains_the_same_run_again(fit: Callable[..., Run]) -> None:
    options = ("--trainer.max_steps=150", "--data.batch_size=16", "--seed_everything=3")
    first = fit(*options, "--trainer.logger=lightning.pytorch.loggers.CSVLogger", "--trainer.logger.save_dir=.")
    again = fit("--data.n=20", config=first.folder / "config.yaml")
    for run in (first, again):
        # What another logger writes, of each run into its own folder.
        assert len(list(run.folder.glob("lightning_logs/*/metrics.csv"))) == 1
    read = [(run.folder / "metrics.csv").read_text() for run in (first, again)]
    assert read[0] == read[1]
    assert first.folder != again.folder


def test_a_checkpoint_is_evaluated_and_predicts(
    fit: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fit()
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    monkeypatch.chdir(tmp_path)
    checkpoint = f"--ckpt_path={run.folder / 'checkpoints' / 'last.ckpt'}"
    for subcommand, metric in (("validate", "val/accuracy"), ("test", "test/accuracy")):
        main([subcommand, checkpoint])
        assert re.search(rf"{metric}\W+1\.0\b", capsys.readouterr().out)
    main(["predict", f"--config={run.folder / 'config.yaml'}", checkpoint])
    *_, last = capsys.readouterr().out.splitlines()
    with Path(last.removeprefix("predictions: ")).open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(2**13))
    assert all(float(row["prediction"]) * float(row["label"]) > 0 for row in rows)
    assert before == {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}

    assert "--data.k=4: the checkpoint was trained with k=3" in complaint(["test", checkpoint, "--data.k=4"], capsys)
    line = complaint(["test", checkpoint, "--model.width=7"], capsys)
    shapes = "network.hidden.weight has shape (100, 20) there and (7, 20) here"
    assert line.endswith(f"is of a network of another shape: {shapes}; give the options it was trained with")
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes((run.folder / "checkpoints" / "last.ckpt").read_bytes()[:1000])
    told = complaint(["test", f"--config={run.folder / 'config.yaml'}", f"--ckpt_path={damaged}"], capsys)
    assert "not a checkpoint, or a damaged one" in told


def test_a_resumed_run_goes_on_where_it_was(fit: Callable[..., Run]) -> None:
    whole = fit("--trainer.max_steps=300")
    half = fit("--trainer.max_steps=150")
    rest = fit("--trainer.max_steps=300", f"--ckpt_path={half.folder / 'checkpoints' / 'last.ckpt'}")
    lines = [(run.folder / "metrics.csv").read_text().splitlines() for run in (whole, half, rest)]
    assert lines[0] == lines[1] + lines[2][1:]
    weights = [
        torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, rest)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_last_checkpoint_is_the_end_of_the_run(fit: Callable[..., Run], tmp_path: Path) -> None:
    often = tmp_path / "often.yaml"
    often.write_text((CONFIGS / "online.yaml").read_text().replace("5_000", "100"))
    run = fit("--data.k=8", "--trainer.max_steps=250", config=often)
    saved = {path.name: torch.load(path, weights_only=True) for path in (run.folder / "checkpoints").iterdir()}
    assert {name: state["global_step"] for name, state in saved.items()} == {
        "last.ckpt": 250,
        "epoch=0-step=200.ckpt": 200,
    }


def test_a_run_refused_before_its_first_step_leaves_nothing(
    fit: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = fit("--trainer.max_steps=50")
    before = set(run.folder.parent.iterdir())
    where = f"--trainer.default_root_dir={run.folder.parent}"
    checkpoint = f"--ckpt_path={run.folder / 'checkpoints' / 'last.ckpt'}"
    for option, told in (("--model.width=7", "another shape"), ("--data.n=30", "--data.n=30: the checkpoint was")):
        arguments = ["fit", ONLINE, "--data.n=20", where, checkpoint, option]
        assert told in complaint(arguments, capsys)
        assert set(run.folder.parent.iterdir()) == before


def test_a_run_refused_after_its_first_step_keeps_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monitor = "--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint"
    options = ["--trainer.callbacks.monitor=nothing", "--trainer.callbacks.every_n_train_steps=100"]
    where = f"--trainer.default_root_dir={tmp_path}"
    with pytest.raises(SystemExit) as ended:
        main(["fit", ONLINE, "--data.n=20", "--data.k=8", where, monitor, *options])
    assert ended.value.code == 2
    assert "nothing" in capsys.readouterr().err.splitlines()[-1]
    (folder,) = tmp_path.iterdir()
    assert len((folder / "metrics.csv").read_text().splitlines()) > 1


@pytest.mark.parametrize(
    ("sent", "status"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_a_run_that_is_interrupted_at_any_moment_leaves_its_summary_and_checkpoint(
    sent: signal.Signals, status: int, tmp_path: Path
) -> None:
    told = tmp_path / "told.txt"
    process = begin(["fit", ONLINE, "--data.k=8", "--trainer.max_steps=1000000"], told, tmp_path)
    deadline = time.monotonic() + 60
    while not any(len(path.read_text().splitlines()) > 3 for path in tmp_path.glob("runs/*/metrics.csv")):
        assert time.monotonic() < deadline
        assert process.is_alive()
        time.sleep(0.05)
    os.kill(process.pid, sent)
    process.join(60)
    assert process.exitcode == status
    (folder,) = tmp_path.glob("runs/*")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["stop_reason"] == "interrupted"
    assert told.read_text().splitlines()[-1] == f"summary: {folder.relative_to(tmp_path)}/summary.json"
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == summary["steps"] > 0
    assert "Traceback" not in told.read_text()


def test_a_network_of_ones_own_is_trained_from_its_folder(tmp_path: Path) -> None:
    """As the README has it, from a folder outside the project."""
    (tmp_path / "my_network.py").write_text((ROOT / "examples" / "my_network.py").read_text())
    command = Path(sys.executable).with_name("parity-lightning")
    options = ["--model=my_network.MyNetwork", "--model.units=30", "--data.n=20", "--trainer.max_steps=100"]
    done = subprocess.run([command, "fit", ONLINE, *options], cwd=tmp_path, capture_output=True, text=True, check=True)
    (folder,) = tmp_path.glob("runs/*")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["architecture"] == "my_network.MyNetwork"
    assert summary["hidden_progress"] > 0
    weight = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]["network.0.weight"]
    assert weight.shape == (30, 20)
    assert "Warning" not in done.stderr


PLAIN_MODULE = """
import torch
from lightning.pytorch import LightningModule

class Plain(LightningModule):
    def __init__(self, n: int):
        super().__init__()
        self.layer = torch.nn.Linear(n, 1)

    def training_step(self, batch):
        x, y = batch
        loss = (self.layer(x).squeeze(-1) - y).square().mean()
        self.log("mine", loss)
        return loss

    def validation_step(self, batch):
        x, y = batch
        errors = (self.layer(x).squeeze(-1) * y <= 0).sum()
        self.log("val/errors", errors.float(), reduce_fx="sum", sync_dist=True)
        self.log("val/accuracy", 1 - errors / len(y), sync_dist=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)
"""


def test_a_plain_lightning_module_is_counted_in_steps_too(
    fit: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plain_module.py").write_text(PLAIN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / "plain.yaml"
    content = yaml.safe_load((CONFIGS / "online.yaml").read_text())
    content["trainer"]["callbacks"].remove({"class_path": "HiddenProgress"})
    content["model"] = {"class_path": "plain_module.Plain"}
    config.write_text(yaml.safe_dump(content))
    run = fit("--trainer.max_steps=120", config=config)
    with (run.folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["val/errors"]] == [50, 100, 120]
    assert run.summary["steps"] == 120
    assert run.summary["solved"] is False
    # It saves no hyperparameters, and its checkpoint is one all the same.
    own = "--allow_code_from=plain_module"
    main(["validate", f"--ckpt_path={run.folder / 'checkpoints' / 'last.ckpt'}", own])
    assert "val/errors" in capsys.readouterr().out


def test_an_error_in_ones_own_network_keeps_its_traceback(tmp_path: Path) -> None:
    source = (ROOT / "examples" / "my_network.py").read_text().replace("nn.GELU()", "nn.Gelu()")
    (tmp_path / "my_network.py").write_text(source)
    told = tmp_path / "told.txt"
    process = begin(["fit", ONLINE, "--model=my_network.MyNetwork"], told, tmp_path)
    process.join()
    assert process.exitcode == 1
    assert "Traceback" in told.read_text()
    assert "nn.Gelu()" in told.read_text()
    assert not (tmp_path / "runs").exists()
