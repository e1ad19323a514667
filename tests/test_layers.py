"""The packages form layers: each imports from those below it only, and the lower ones do without Lightning."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import parity_lightning

PACKAGE = Path(parity_lightning.__file__).parent

LAYERS = (
    "testing",
    "api",
    "cli",
    "report",
    "figures",
    "experiments",
    "callbacks",
    "modules",
    "studies",
    "display",
    "engine",
    "statistics",
    "theory",
    "measures",
    "optim",
    "nets",
    "data",
    "run_dir",
    "terminal",
    "errors",
)
"""From the highest to the lowest."""


def imports() -> Iterator[tuple[Path, str]]:
    """Every import of our own, at the top of a module or in a function, as a file and a module's dotted name."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("parity_lightning"):
                for alias in node.names:
                    part = f"{node.module}.{alias.name}"
                    # A public name lies where it is made.
                    home = parity_lightning._HOMES.get(alias.name) if node.module == "parity_lightning" else None
                    yield file, home or (part if is_module(part) else node.module or "")
            elif isinstance(node, ast.Import):
                yield from ((file, alias.name) for alias in node.names if alias.name.startswith("parity_lightning"))


def is_module(name: str) -> bool:
    path = PACKAGE.parent / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or path.is_dir()


def layer_of(parts: tuple[str, ...]) -> str | None:
    """The layer of a file or of a dotted name; None for the package itself, which names what is public."""
    return parts[0].removesuffix(".py") if parts and parts[0].removesuffix(".py") in LAYERS else None


def test_imports_go_down() -> None:
    upward = []
    for file, name in imports():
        importer = layer_of(file.relative_to(PACKAGE).parts)
        imported = layer_of(tuple(name.split(".")[1:]))
        if importer and imported and LAYERS.index(importer) > LAYERS.index(imported):
            upward.append(f"{file.relative_to(PACKAGE)} imports {name}")
    assert not upward


def test_every_module_lies_in_a_layer() -> None:
    at_top = {path.name for path in PACKAGE.iterdir() if not path.name.startswith("__pycache__")}
    assert at_top == {*LAYERS, "errors.py", "__init__.py", "__main__.py", "py.typed"} - {"errors"}


def test_every_folder_of_modules_is_a_package() -> None:
    # Others would be missing from a wheel.
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_no_modules_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for file, name in imports():
        if file == PACKAGE / "__init__.py":
            # It names what is public, and imports it when it is first used.
            continue
        own = ".".join(("parity_lightning", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        graph.setdefault(own, set()).add(name)

    def reach(start: str, seen: set[str]) -> set[str]:
        for following in graph.get(start, set()) - seen:
            seen.add(following)
            reach(following, seen)
        return seen

    in_circles = {name for name in graph if name in reach(name, set())}
    # A package names what its modules offer, and these name what is public.
    assert not {name for name in in_circles if name.count(".") > 1}


def test_lower_layers_import_neither_lightning_nor_wandb() -> None:
    """One after another in one process: the first that does is told."""
    packages = [
        "statistics",
        "nets",
        "optim",
        "measures",
        "theory",
        "engine",
        "studies",
        "display",
        "experiments",
        "figures",
    ]
    # Nothing of it is garbage.
    code = "import gc, importlib, sys\ngc.disable()\n"
    for package in packages:
        for path in sorted((PACKAGE / package).rglob("*.py")):
            names = ("parity_lightning", *path.relative_to(PACKAGE).with_suffix("").parts)
            code += f"importlib.import_module({'.'.join(names).removesuffix('.__init__')!r})\n"
        code += "found = {'lightning', 'wandb'} & set(sys.modules)\n"
        code += f"if found: sys.exit(f'importing parity_lightning.{package} imports {{found}}')\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
