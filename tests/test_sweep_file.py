"""W&B sweep files: what cells they make, and what is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import CONFIGS
from scipy.stats import kstest

from parity_lightning.errors import SettingError
from parity_lightning.studies.cells import Sampled
from parity_lightning.studies.distributions import Choice, Number, distribution_of
from parity_lightning.studies.sweep_file import SweepFile

COMMAND = ["${env}", "parity-lightning", "fit", "--config", "online.yaml", "${args}"]


@pytest.fixture
def sweep_of(tmp_path: Path) -> Callable[..., SweepFile]:
    def make(**content: Any) -> SweepFile:
        path = tmp_path / "s.yaml"
        whole = {"method": "grid", "program": "parity_lightning/__main__.py", "command": COMMAND, **content}
        path.write_text(yaml.safe_dump(whole, sort_keys=False))
        return SweepFile.of(path)

    return make


def test_dotted_and_nested_parameters_make_the_same_cells(sweep_of: Callable[..., SweepFile]) -> None:
    dotted = sweep_of(parameters={"data.init_args.n": {"values": [10, 20]}, "data.init_args.k": {"value": 2}})
    init_args = {"parameters": {"n": {"values": [10, 20]}, "k": {"value": 2}}}
    nested = sweep_of(parameters={"data": {"parameters": {"init_args": init_args}}})
    assert (
        list(dotted.cells())
        == list(nested.cells())
        == [{"data.init_args.n": n, "data.init_args.k": 2} for n in (10, 20)]
    )
    assert dotted.subcommand == "fit"
    assert dotted.words == ("--config", "online.yaml")


def test_seeds_are_replicates_and_no_axis(sweep_of: Callable[..., SweepFile]) -> None:
    sweep = sweep_of(parameters={"seed_everything": {"min": 3, "max": 7}, "data.n": {"values": [10, 20]}})
    assert sweep.seeds == range(3, 8)
    assert list(sweep.cells()) == [{"data.n": 10}, {"data.n": 20}]


def test_a_random_search_is_the_same_everywhere_and_longer_ones_begin_with_it(
    sweep_of: Callable[..., SweepFile],
) -> None:
    parameters = {
        "data.n": {"values": [10, 20, 30]},
        "lr": {"distribution": "log_uniform_values", "min": 0.001, "max": 1},
    }
    short = sweep_of(method="random", run_cap=20, parameters=parameters).cells(seed=4)
    long = sweep_of(method="random", run_cap=50, parameters=parameters).cells(seed=4)
    assert list(long)[:20] == list(short)
    assert list(sweep_of(method="random", run_cap=20, parameters=parameters).cells(seed=5)) != list(short)
    assert {cell["data.n"] for cell in long} == {10, 20, 30}


@pytest.mark.parametrize(
    ("given", "law"),
    [
        ({"min": 0.5, "max": 2.5}, ("uniform", (0.5, 2.0))),
        ({"distribution": "log_uniform_values", "min": 0.01, "max": 10}, ("loguniform", (0.01, 10))),
        ({"distribution": "log_uniform", "min": -1, "max": 1}, ("loguniform", (np.exp(-1), np.exp(1)))),
        ({"distribution": "normal", "mu": 3, "sigma": 2}, ("norm", (3, 2))),
        ({"distribution": "log_normal", "mu": 0, "sigma": 0.5}, ("lognorm", (0.5,))),
    ],
    ids=str,
)
def test_numbers_are_drawn_from_the_distribution_of_that_name(given: dict[str, Any], law: tuple[Any, Any]) -> None:
    distribution = distribution_of("x", given)
    random = np.random.default_rng(0)
    drawn = [distribution.draw(random) for _ in range(2000)]
    assert kstest(drawn, *law).pvalue > 0.001


def test_whole_numbers_multiples_and_choices() -> None:
    random = np.random.default_rng(0)
    steps = distribution_of("x", {"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 8})
    assert {steps.draw(random) for _ in range(200)} == {8, 16, 24, 32, 40, 48, 56, 64}
    assert {Number("int_uniform", 2, 4).draw(random) for _ in range(100)} == {2, 3, 4}
    assert Choice(("a", "b"), (0.0, 1.0)).draw(random) == "b"
    with pytest.raises(SettingError, match="only 2 different cells"):
        Sampled({"x": Choice(("a", "b"))}, 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"method": "hyperband"}, "method=hyperband: must be one of grid, random, bayes"),
        ({"early_terminate": {"type": "hyperband"}}, "early_terminate={'type': 'hyperband'}: is not supported"),
        ({"run_cap": 3}, "run_cap=3: is for random and bayes"),
        ({"method": "random"}, "run_cap=None: missing; a random search needs an end"),
        ({"parameters": {"lr": {"min": 0.1, "max": 1.0}}}, "parameters.lr=uniform: has no end in a grid"),
        ({"parameters": {"lr": {"distribution": "beta"}}}, "parameters.lr=beta: this distribution is not supported"),
        ({"parameters": {"lr": {"values": []}}}, "must be a list"),
        ({"parameters": {"lr": {"values": [1, 1]}}}, "has a value twice"),
        ({"parameters": {"lr": {"value": 1, "valeus": [1]}}}, "did you mean values?"),
        ({"parameters": {"lr": 3}}, "parameters.lr=3: must have value, values, or min and max"),
        ({"parameters": {"seed_everything": {"values": [0, 5]}}}, "must count on by one"),
        ({"parameters": {"seed_everything": {"min": 0.0, "max": 1.0}}}, "must be whole numbers"),
        ({"parameters": {"data.n": {"value": 9}, "config": {"value": "a"}}}, "config: must be the first parameter"),
        ({"command": ["${program}", "${args}"]}, "must run parity-lightning fit or trials"),
        ({"command": ["parity-lightning", "fit", "${args_json}"]}, "must end with ${args}"),
        ({"command": ["parity-lightning", "fit", "${args_no_hyphens}", "${args}"]}, "${args_no_hyphens}: is not supp"),
        ({"command": ["parity-lightning", "fit", "--config", "${envvar:NOT_SET}", "${args}"]}, "has no NOT_SET"),
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused_and_never_ignored(
    change: dict[str, Any], told: str, sweep_of: Callable[..., SweepFile]
) -> None:
    with pytest.raises(SettingError) as refused:
        sweep_of(**{"parameters": {"data.n": {"values": [10, 20]}}, **change})
    assert told in str(refused.value)


def test_a_file_that_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no such file"):
        SweepFile.of(tmp_path / "none.yaml")
    with pytest.raises(SettingError, match="is no W&B sweep file"):
        SweepFile.of(CONFIGS / "online.yaml")
    (tmp_path / "bad.yaml").write_text("method: [")
    with pytest.raises(SettingError, match="not valid YAML at line 1"):
        SweepFile.of(tmp_path / "bad.yaml")
