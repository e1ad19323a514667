"""Whether the tests notice a mistake: small ones are put into the code, one at a time, and the tests run on each.

A mutant differs from the code in one operator, comparison, number, condition or statement. It is killed if a test
fails, or if the tests take much longer than before. Those that survive are printed: each of them is a mistake that the
tests would let through, or computes the same as the code. Of the latter, `equivalent_mutants.txt` names the known ones
with the reason; they are not counted.

The tests of a package run once on the code as it is, which tells which tests execute which lines. A mutant is then
tested by those tests alone that execute its lines, the quickest first. Everything happens in a copy of the repository.

    python benchmarks/mutation.py data measures statistics engine
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]

# The quick tests of each package; the examples in its docstrings come on top.
TESTS = {
    "data": [
        *("batches", "datamodule", "philox", "sparse_parity"),
        "trials_stack::test_stacked_parities_draw_the_bits_of_each",
        "modules::test_a_trainer_that_would_never_evaluate_is_refused",
        "modules::test_the_parity_is_looked_at_whatever_hooks_are_overridden",
    ],
    "measures": ["fourier", "gradient_gap", "callbacks"],
    "statistics": ["statistics", "random_search", "trials_record", "one_big_step", "kernels"],
    "engine": ["trials_stack", "compiled", "library_cache", "side_by_side", "trials_command"],
}

OTHER_OPERATOR: dict[type, type] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr},
    **{ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.MatMult: ast.Add, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
}


class Mutant(NamedTuple):
    """A source file with one mistake in it."""

    path: str
    lines: range
    in_function: bool
    before: str
    after: str
    source: str


class Test(NamedTuple):
    """A test, how long it took, and which lines of which files it executed."""

    name: str
    seconds: float
    lines: dict[str, list[int]]


def _changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """The mistakes of a node: which of its attributes gets which value."""
    if _is_for_types(node):
        return
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        if not (isinstance(node, ast.BinOp) and _is_text(node)):
            yield "op", OTHER_OPERATOR[type(node.op)]()
    elif isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            yield "ops", [*node.ops[:place], OTHER_OPERATOR[type(operator)](), *node.ops[place + 1 :]]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield "op", ast.UAdd() if isinstance(node.op, ast.USub | ast.Invert) else _Nothing()
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "value", not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "value", node.value + 1
    elif isinstance(node, ast.If | ast.IfExp | ast.While) and not isinstance(node.test, ast.UnaryOp):
        yield "test", ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Return) and not (node.value is None or _is_none(node.value)):
        yield "value", ast.Constant(None)
    for name in ("body", "orelse", "finalbody"):
        statements = getattr(node, name, None)
        if isinstance(statements, list):
            for place, statement in enumerate(statements):
                if _can_go(statement):
                    gone = ast.copy_location(ast.Pass(), statement)
                    yield name, [*statements[:place], gone, *statements[place + 1 :]]


class _Nothing(ast.UAdd):
    """Stands for the operator ``not`` that was taken away."""


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_text(node: ast.BinOp) -> bool:
    return any(isinstance(side, ast.JoinedStr | ast.Constant) and _is_string(side) for side in (node.left, node.right))


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _can_go(statement: ast.stmt) -> bool:
    """Whether the code without it may run: calls, changes of what is there, errors, ends of loops."""
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assign):
        return all(isinstance(target, ast.Attribute | ast.Subscript) for target in statement.targets)
    return isinstance(statement, ast.AugAssign | ast.Raise | ast.Continue | ast.Break | ast.Delete)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """What is below a node, but for what only a type checker reads, and the texts of messages."""
    if _is_for_types(node):
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("cast", "TypeVar"):
        return
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "type_comment", "format_spec"):
            yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, ast.AST))


def mutants_of(path: str, source: str) -> Iterator[Mutant]:
    """All mutants of a file, in the order of its lines."""
    tree = ast.parse(source)

    def visit(node: ast.AST, statement: ast.AST, in_function: bool) -> Iterator[Mutant]:
        statement = node if isinstance(node, ast.stmt) else statement
        for name, value in _changes(node):
            old, before = getattr(node, name), _headline(statement)
            changed: Any = statement
            first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
            if isinstance(value, list) and name != "ops":
                (place,) = (
                    place for place, (one, other) in enumerate(zip(old, value, strict=True)) if one is not other
                )
                changed, before = value[place], _headline(old[place])
                first, last = old[place].lineno, old[place].end_lineno
            elif isinstance(node, ast.If | ast.While):
                first, last = node.test.lineno, node.test.end_lineno or node.test.lineno
            setattr(node, name, value)
            after = _headline(changed)
            mutated = _unparsed(tree)
            setattr(node, name, old)
            inside = in_function or isinstance(node, ast.FunctionDef | ast.Lambda)
            yield Mutant(path, range(first, last + 1), inside, before, after, mutated)
        for child in _children(node):
            body = isinstance(node, ast.FunctionDef | ast.Lambda) and child not in (
                *getattr(node, "decorator_list", ()),
                node.args,
            )
            yield from visit(child, statement, in_function or body)

    yield from visit(tree, tree, False)


def _unparsed(tree: ast.AST) -> str:
    return ast.unparse(_without_nothing(tree))


def _without_nothing(tree: ast.AST) -> ast.AST:
    class Remove(ast.NodeTransformer):
        def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
            self.generic_visit(node)
            return node.operand if isinstance(node.op, _Nothing) else node

    return Remove().visit(copy.deepcopy(tree))


def _headline(statement: ast.AST) -> str:
    """A statement in one line; of what has a body, its beginning."""
    if isinstance(statement, ast.Module):
        return "module"
    text = _unparsed(statement)
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.If | ast.For | ast.While | ast.With | ast.Try):
        lines = text.splitlines()
        return next((line for line in lines if not line.startswith("@")), lines[0])
    return " ".join(text.split())


class Record:
    """A plugin of pytest: writes down how long each test takes and which lines below a folder it executes.

    Args:
        below: The folder.
        to: The file to write to.
    """

    def __init__(self, below: Path, to: Path) -> None:
        self._below = f"{below}{os.sep}"
        self._to = to
        self._lines: dict[str, set[int]] = {}
        self._tests: list[Test] = []

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        path: str = frame.f_code.co_filename
        if not path.startswith(self._below):
            return None
        lines = self._lines.setdefault(path[len(self._below) :], set())

        def line(frame: Any, event: str, argument: Any) -> Any:
            lines.add(frame.f_lineno)
            return line

        return line(frame, event, argument)

    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> bool:
        from _pytest.runner import runtestprotocol

        self._lines = {}
        begun = time.monotonic()
        sys.settrace(self._trace)
        try:
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
        finally:
            sys.settrace(None)
        if all(report.passed for report in reports):
            lines = {path: sorted(numbers) for path, numbers in self._lines.items()}
            self._tests.append(Test(item.nodeid, time.monotonic() - begun, lines))
        elif not any(report.skipped for report in reports):
            print(f"does not pass, and is left out: {item.nodeid}", file=sys.__stderr__, flush=True)
        return True

    def pytest_sessionfinish(self) -> None:
        self._to.write_text(json.dumps(self._tests))


class Chosen:
    """A plugin of pytest: runs the tests of these names, in this order."""

    def __init__(self, names: list[str]) -> None:
        self._place = {name: place for place, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._place), key=lambda item: self._place[item.nodeid]
        )


def forked(function: Callable[[], int], seconds: float | None = None, quiet: bool = True) -> int | None:
    """Calls a function in a process of its own, that has all imports of this one.

    Returns:
        What the function returned, or None if it took longer than so many seconds.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        status = 1
        try:
            if quiet:
                nothing = os.open(os.devnull, os.O_RDWR)
                for stream in range(3):
                    os.dup2(nothing, stream)
            status = function()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, 0 if deadline is None else os.WNOHANG)
        if done:
            break
        if deadline is not None and time.monotonic() > deadline:
            break
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        # With whatever processes the tests have started.
        os.killpg(child, signal.SIGKILL)
    if not done:
        os.waitpid(child, 0)
        return None
    return os.waitstatus_to_exitcode(status)


def run_tests(repository: Path, files: list[str], plugin: Any, *options: str) -> int:
    """Runs tests in a copy of the repository; returns pytest's status."""
    import hypothesis
    import pytest

    # The same examples each time, so that a mutant is killed or not, whenever it is tested.
    hypothesis.settings.register_profile("mutants", max_examples=30, deadline=None, database=None, derandomize=True)
    hypothesis.settings.load_profile("mutants")
    os.chdir(repository)
    sys.path[:0] = [str(repository), str(repository / "tests")]
    os.environ["PYTHONPATH"] = str(repository)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    common = ["-q", "-m", "not slow", "--assert=plain", "-p", "no:cacheprovider"]
    return int(pytest.main([*common, *options, *files], plugins=[plugin]))


class Tested(NamedTuple):
    """What came of the mutants of a package."""

    killed: int
    survived: list[Mutant]
    equivalent: int


def equivalent_mutants(file: Path) -> set[tuple[str, str]]:
    """The known ones that compute the same: path and changed statement."""
    rows = (line.split(" | ") for line in file.read_text().splitlines() if line and not line.startswith("#"))
    return {(path, after) for path, after, _ in rows}


def test_package(package: str, repository: Path, options: argparse.Namespace) -> Tested:
    """Tests all mutants of a package, or a random choice of them."""
    below = repository / "parity_lightning"
    pairs = (name.partition("::") for name in TESTS[package])
    files = [f"tests/test_{file}.py{mark}{test}" for file, mark, test in pairs] + [f"parity_lightning/{package}"]
    log = repository / "tests.json"
    forked(lambda: run_tests(repository, files, Record(below, log)), quiet=False)
    tests = [Test(*each) for each in json.loads(log.read_text())]
    tests = sorted((test for test in tests if test.seconds < options.longest), key=lambda test: test.seconds)
    print(f"{package}: {len(tests)} tests", flush=True)

    known = equivalent_mutants(Path(__file__).with_name("equivalent_mutants.txt"))
    paths = sorted((below / package).rglob("*.py"))
    mutants = [m for path in paths for m in mutants_of(path.relative_to(below).as_posix(), path.read_text())]
    if options.files:
        mutants = [mutant for mutant in mutants if Path(mutant.path).name in options.files]
    if options.sample and options.sample < len(mutants):
        mutants = random.Random(options.seed).sample(mutants, options.sample)
    killed, survived, equivalent = 0, [], 0
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    for number, mutant in enumerate(mutants, 1):
        if (mutant.path, mutant.after) in known:
            equivalent += 1
        elif noticed(mutant, tests, repository):
            killed += 1
        else:
            survived.append(mutant)
            print(f"{mutant.path}:{mutant.lines.start}: {mutant.before}  ->  {mutant.after}", flush=True)
        if number % 50 == 0:
            print(f"{package}: {number} of {len(mutants)}, {killed} killed, {len(survived)} survived", flush=True)
    return Tested(killed, survived, equivalent)


def noticed(mutant: Mutant, tests: list[Test], repository: Path) -> bool:
    """Whether a test fails, or runs for much too long, with this mutant in the place of the code."""

    def executes(test: Test) -> bool:
        lines = test.lines.get(mutant.path, [])
        return bool(lines) and (not mutant.in_function or any(line in mutant.lines for line in lines))

    chosen = [test for test in tests if executes(test)]
    if not chosen:
        return False
    path = repository / "parity_lightning" / mutant.path
    source = path.read_text()
    files = list(dict.fromkeys(test.name.partition("::")[0] for test in chosen))
    plugin = Chosen([test.name for test in chosen])
    # A compiled file of the same second and size would be taken for this one's.
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
        compiled.unlink()
    try:
        path.write_text(mutant.source)
        seconds = 20 + 4 * sum(test.seconds for test in chosen)
        return forked(lambda: run_tests(repository, files, plugin, "-x"), seconds) != 0
    finally:
        path.write_text(source)


def main() -> None:
    """Tests the mutants of each package and prints the shares killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", choices=list(TESTS))
    parser.add_argument("--files", nargs="*", help="only mutants of files of these names")
    parser.add_argument("--sample", type=int, help="how many mutants of each package, chosen at random; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the choice")
    parser.add_argument("--longest", type=float, default=10, help="leave out tests that take more seconds than this")
    options = parser.parse_args()
    # One thread: a process that is forked has no others. The imports are what all forks share.
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch
    import wandb.sdk.launch.sweeps.utils  # noqa: F401

    torch.set_num_threads(1)
    # What is here now is garbage in no fork, and need not be looked through at the end of each.
    gc.freeze()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder).resolve() / "repository"
        ignored = shutil.ignore_patterns(".*", "runs", "build", "dist", "__pycache__")
        shutil.copytree(ROOT, repository, ignore=ignored, symlinks=True)
        os.environ["PARITY_LIGHTNING_CACHE"] = f"{folder}/cache"
        for package in options.packages:
            results[package] = test_package(package, repository, options)
    for package, (killed, survived, equivalent) in results.items():
        counted = killed + len(survived)
        share = f"{killed / counted:.0%}" if counted else "none"
        print(f"{package}: {killed} of {counted} mutants killed ({share}); {equivalent} known equivalent ones left out")


if __name__ == "__main__":
    main()
