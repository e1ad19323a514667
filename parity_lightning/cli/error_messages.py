"""Turning what goes wrong with a command line into one line that names option, value and mend."""

from __future__ import annotations

import difflib
import inspect
import re
from argparse import ArgumentError
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning.pytorch.loggers
import torch
import yaml
from lightning.pytorch import LightningDataModule, Trainer
from torch.optim.lr_scheduler import LRScheduler

import parity_lightning.callbacks
import parity_lightning.data
import parity_lightning.modules
import parity_lightning.optim.optimizers
import parity_lightning.optim.schedules
from parity_lightning.errors import SettingError, nearest
from parity_lightning.modules.arguments import arguments_of

_GROUPS = ("data", "model", "trainer", "config", "seed_everything", "ckpt_path", "resume", "allow_code_from")


def root_cause(error: BaseException) -> BaseException:
    """The exception that the others were raised from, at most down to a `SettingError`; jsonargparse wraps them all."""
    while error.__cause__ is not None and not isinstance(error, SettingError):
        error = error.__cause__
    return error


def config_files(arguments: Sequence[str]) -> list[str]:
    """The files given by ``--config`` (``-c``) among command-line arguments.

    Example:
        >>> config_files(["fit", "--config", "a.yaml", "--data.n=3", "--config=b.yaml"])
        ['a.yaml', 'b.yaml']
    """
    files = [after for before, after in pairwise(arguments) if before in ("--config", "-c")]
    files += [argument.partition("=")[2] for argument in arguments if argument.startswith("--config=")]
    return files + [argument[2:] for argument in arguments if re.match("-c.", argument)]


def setting_error_message(error: SettingError, config: Any) -> str:
    """Tells of a setting that a class refused, by the option's name on the command line.

    Args:
        error: What the class raised.
        config: The subcommand's configuration, to see which group the option belongs to; None if there is none yet.
    """
    own = ("optimizer", "lr_scheduler")
    paths = ("data.init_args", "model.init_args", *(f"model.init_args.{name}.init_args" for name in own), "trainer")
    for path in paths if config is not None else ():
        group = config.get(path)
        if group is not None and error.option in group:
            prefix = path.replace(".init_args", "")
            return f"--{prefix}.{error.option}={error.value}: {error.hint}"
    return str(error)


def argument_error_message(error: ArgumentError) -> str:
    """Tells of arguments that could not be parsed.

    Args:
        error: What jsonargparse raised.
    """
    text = str(error)
    option = "--" + ".".join(re.findall(r'Parser key "([^"]+)"', text))
    value = _value_in(text)

    if match := re.search(r"Importing '([\w.]+)' is not allowed", text):
        package = match[1].partition(".")[0]
        if find_spec(package) is None:
            where = "in this folder, beside the configuration or installed"
            return f"{option}={match[1]}: no module named {package} {where}"
        return f"{option}={match[1]}: {_NOT_ALLOWED} (--allow_code_from {package}, if you trust it)"
    if "add_function_arguments" in text:
        # LightningCLI's parser takes functions without arguments only.
        return "a function is named where a class with init_args should be; name a class"
    if match := re.search(r"Option '([^']+)' is not accepted", text):
        classes = re.findall(r"Problem with given class_path '([^']+)'", text)
        if len(classes) != 1 or option.count(".") > 0:
            return f"{option}.{match[1]}: no such option; mend its name, or see parity-lightning fit --help"
        return f"{option}.{match[1]}: no such option of {classes[0]}; {nearest(match[1], _arguments_of(classes[0]))}"
    if match := re.search(r"does not accept option '([^']+)'", text):
        return f"{match[1]}: no such option; {nearest(match[1], _GROUPS)}"
    if match := re.search(r"unrecognized arguments: (\S+)", text):
        return f"{match[1]}: no such option; {_nearest_option(match[1])}"
    if match := re.search(r"arguments are required: ([\w., ]+)", text):
        names = [name.removeprefix("fit.") for name in match[1].split(", ")]
        missing = ", ".join(f"{option}.{name}" if option != "--" else f"--{name}" for name in names)
        return f"{missing}: missing; give it, or a --config FILE that has it"
    if option.rpartition(".")[2].lstrip("-") in _HOMES and re.search(r"import|No module named|subclass", text):
        return _complain_of_class(option, value, root_cause(error))
    if nested := re.findall(r"NestedArg\(key='([^']+)'", text):
        # Told from the inside out: the last one is the longest.
        option = f"{option.split('.')[0]}.{nested[-1]}"
    return f"{option}={value}: {_reasons(text)}" if option != "--" else " ".join(text.split())


def check_files(arguments: Sequence[str]) -> None:
    """Looks into the configuration files, which nobody else reports well.

    Raises:
        SettingError: If one is missing, unreadable or malformed.
    """
    for file in config_files(arguments):
        problem = _problem_of_file(file)
        if problem:
            raise SettingError("--config", file, problem)


def _reasons(text: str) -> str:
    """What was expected, from jsonargparse's list of all that was tried."""
    found = re.findall(r"(Expected [^\n]*?)(?:\. Got value[^\n]*)?$", text, flags=re.MULTILINE)
    message = [re.sub(r"<class '([\w.]+)'>", r"\1", reason) for reason in found]
    apt = [reason for reason in message if not re.search("NoneType|Expected a path|dot import path", reason)]
    if not apt:
        return " ".join(" ".join(_told_lines(text)).split()) or " ".join(text.split())
    kinds = [re.sub(r"^Expected (?:an? )?", "", reason).strip(" .:") for reason in dict.fromkeys(apt)]
    return f"expected {' or '.join(_WORDS.get(kind, kind) for kind in kinds)}"


_NOT_ALLOWED = (
    "may not be named here; name a class of parity_lightning, lightning or torch.optim, or one in a module in this "
    "folder or beside the configuration"
)

_NOISE = re.compile(
    "Parser key|Does not validate|Subtypes:|Errors:|Expected a <class 'NoneType'>|Given value|Expected a path|Problem "
)


def _told_lines(text: str) -> list[str]:
    """The lines of jsonargparse's list of all that was tried that say what is wrong."""
    message = (
        re.sub(r".* expects a function or a callable class: |\. Got value: .*", "", line) for line in text.split("\n")
    )
    return [line.strip(" -") for line in message if not _NOISE.search(line)]


_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}


def _problem_of_file(file: str) -> str | None:
    try:
        content = yaml.safe_load(Path(file).read_text())
    except FileNotFoundError:
        return "no such file; give the path of a YAML file, configs/online.yaml for example"
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read ({error}); give the path of a YAML file"
    except RecursionError:
        return "nests too deeply; mend the file"
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        return f"not valid YAML{where}: {getattr(error, 'problem', error)}; mend the file"
    if isinstance(content, dict) and not isinstance(content.get("trainer", {}), dict):
        return "its trainer must hold options by name; mend the file"
    return None if isinstance(content, dict) else "must hold settings by name (model:, data:, trainer:); mend the file"


def _value_in(text: str) -> str:
    for pattern in (r"val='([^']*)'", r"val=([^)]*)\)", r"Got value: (.+)", r"Given value: (.+)"):
        if match := re.search(pattern, text):
            return match[1]
    return ""


def _arguments_of(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    return arguments_of(getattr(import_module(module), name))


def _nearest_option(argument: str) -> str:
    name = argument.partition("=")[0].lstrip("-")
    group, _, rest = name.partition(".")
    if group == "trainer" and rest:
        options = [f"--trainer.{option}" for option in inspect.signature(Trainer.__init__).parameters]
        return f"did you mean {difflib.get_close_matches(f'--{name}', options, n=1, cutoff=0)[0]}?"
    return nearest(group, _GROUPS)


def _complain_of_class(option: str, value: str, cause: BaseException) -> str:
    home = _HOMES[option.rpartition(".")[2].lstrip("-")]
    # Public names may be imported when first used only.
    kinds = {name: getattr(home, name) for name in {*vars(home), *getattr(home, "__all__", ())}}
    known = [name for name, kind in kinds.items() if inspect.isclass(kind) and not inspect.isabstract(kind)]
    if home is torch.optim:
        known = [*(set(known) - {"Optimizer"}), *parity_lightning.optim.optimizers.__all__]
    if home is parity_lightning.data:
        known = [name for name in known if issubclass(kinds[name], LightningDataModule)]
    if home is torch.optim.lr_scheduler:
        known = [name for name in known if name[0] != "_" and issubclass(vars(home)[name], LRScheduler)]
        known = [*(set(known) - {"LRScheduler", "ReduceLROnPlateau"}), *parity_lightning.optim.schedules.__all__]
    if "." not in value:
        own = "a class of your own goes by its full name, module.Class"
        return f"{option}={value}: no such class; {nearest(value, known)}; {own}"
    why = re.sub(r"<class '([\w.]+)'>", r"\1", str(cause)).strip()
    return f"{option}={value}: not a class that can be used here ({why}); give module.Class, found from this folder"


_HOMES: dict[str, Any] = {
    "model": parity_lightning.modules,
    "optimizer": torch.optim,
    "callbacks": parity_lightning.callbacks,
    "data": parity_lightning.data,
    "lr_scheduler": torch.optim.lr_scheduler,
    "logger": lightning.pytorch.loggers,
}
