"""Bounds of experiments' options, and the commands and files that name them."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import pytest

from parity_lightning.cli.command_tree import command_tree
from parity_lightning.cli.experiment_options import options_class
from parity_lightning.display.table import WIDTH, format_table
from parity_lightning.errors import SettingError
from parity_lightning.experiments import EXPERIMENTS
from parity_lightning.experiments.findings import Findings, command_of
from parity_lightning.experiments.options import BoundedOptions, Bounds


@dataclass(frozen=True)
class Options(BoundedOptions):
    n: Annotated[tuple[int, ...], Bounds(at_least=2, at_most=9)] = (3, 4)
    lengths: Annotated[tuple[int, ...] | None, Bounds(at_least=2)] = None
    share: Annotated[float, Bounds(above=0, below=1)] = 0.5
    lr: Annotated[float, Bounds(above=0, below=math.inf)] = 0.1
    curve: bool = True


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"n": (3, 1)}, "n=1: must be at least 2"),
        ({"n": (10,)}, "n=10: must be at most 9"),
        ({"n": (2.5,)}, "n=2.5: must be a whole number"),
        ({"n": ()}, r"n=\[\]: give at least one"),
        ({"lengths": (1,)}, "lengths=1: must be at least 2"),
        ({"share": 0.0}, "share=0.0: must be above 0 and below 1"),
        ({"share": 1.0}, "share=1.0: must be above 0 and below 1"),
        ({"share": math.nan}, "share=nan: must be above 0 and below 1"),
        ({"share": "much"}, "share=much: must be a number"),
        ({"lr": math.inf}, "lr=inf: must be above 0 and finite"),
    ],
)
def test_values_out_of_bounds_are_refused_in_one_line(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=f"^{told}$"):
        Options(**given)


def test_values_within_bounds_are_kept_and_count_once() -> None:
    options = Options(n=[9, 2, 9], lengths=(), share=0.99)  # type: ignore[arg-type]
    assert (options.n, options.lengths, options.share) == ((9, 2), (), 0.99)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.share = 0.5  # type: ignore[misc]


def test_the_command_names_what_differs_from_the_defaults() -> None:
    assert command_of("x", Options()) == "parity-lightning theory x"
    given = Options(n=(5, 6), lengths=(3,), share=0.25, curve=False)
    assert command_of("x", given) == "parity-lightning theory x --n=5,6 --lengths=3 --share=0.25 --curve=false"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_command_of_an_experiment_is_parsed_to_its_options(name: str) -> None:
    kind = options_class(EXPERIMENTS[name].package)
    first = {field.name: field.default[:1] for field in dataclasses.fields(kind) if isinstance(field.default, tuple)}
    for options in (kind(), kind(**first)):
        parsed = command_tree().parse_args(command_of(name, options).split()[1:]).theory[name].as_dict()
        assert parsed.pop("runs") == "runs"
        assert kind(**parsed) == options


class Row(NamedTuple):
    search: str
    false_alarms_low: float
    false_alarms_high: float
    median_steps_to_error: int
    expected_false_alarms: float | None
    measure_of_progress: str


def test_headers_are_broken_where_a_table_would_not_fit_a_terminal() -> None:
    rows = [Row("drawn anew", 0.01234567, 1.0, 1_234_567, None, "movement")]
    wide = "  ".join(Row._fields)
    assert len(wide) > WIDTH
    lines = Findings(rows, [], lambda figure: None).table().splitlines()
    assert max(map(len, lines)) <= WIDTH
    for part in ("drawn anew", "0.01235", "1", "1,234,567", "-", "movement"):
        assert part in lines[-1]
    # Words stay whole, in their order.
    assert [line[: len("drawn anew")].strip() for line in lines] == ["search", *[""] * (len(lines) - 2), "drawn anew"]


def test_a_table_has_its_columns_one_below_the_other() -> None:
    lines = format_table([["a", 1], ["longer", None]], ["name", "count"], indent=2).splitlines()
    assert lines == ["  name    count", "  a       1", "  longer  -"]
