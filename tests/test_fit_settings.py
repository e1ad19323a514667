"""Cells that are put together of parsed values are, setting for setting, what the parser makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import CONFIGS

from parity_lightning.cli import fit_settings
from parity_lightning.cli.fit_settings import FitSettings, command_line
from parity_lightning.cli.make_runner import MakeRunner
from parity_lightning.cli.trial_config import TrialConfigCLI
from parity_lightning.errors import UsageError
from parity_lightning.studies.cells import Grid

ONLINE = [f"--config={CONFIGS / 'online.yaml'}", "--trainer.accelerator=cpu"]
AXES: dict[str, list[Any]] = {
    "config": [str(CONFIGS / "architectures" / f"{name}.yaml") for name in ("xiii", "xv")],
    "data.n": [10, 20],
    "data.num_samples": [None, 100],
    "model.optimizer.lr": [0.01, 1],
    "data.seed": [3, 4],
}


@pytest.mark.parametrize("checked", [0, 256])
def test_a_cell_that_is_put_together_is_what_the_parser_makes(checked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_settings, "_MOST_CHECKED", checked)
    cells = Grid(AXES)
    together = FitSettings(ONLINE, cells, compiled=True)
    assert len({each.key for each in together.settings}) == len(cells)
    # Those that are farthest from what was parsed: every value another one.
    for place in (15, 31):
        (alone,) = FitSettings(command_line(ONLINE, cells[place]), [{}], compiled=True).settings
        values = {**together.settings[place].values, "data.init_args.seed": None}
        assert values == {**alone.values, "data.init_args.seed": None}
        assert together.settings[place].key == alone.key
        columns = dict(together.settings[place].columns)
        assert columns.pop("config").endswith(".yaml")
        assert columns == alone.columns


def test_a_value_is_refused_beside_others_only_where_a_cell_has_both() -> None:
    cells = [{"data.n": 20, "data.k": 2}, {"data.n": 20, "data.k": 4}, {"data.n": 3, "data.k": 2}]
    # 3 inputs are too few beside k = 4, which no cell has.
    first = [{"data.n": 20, "data.k": 4}, {"data.n": 3, "data.k": 2}]
    assert [each.values["data.init_args.n"] for each in FitSettings(ONLINE, first, compiled=True).settings] == [20, 3]
    with pytest.raises(UsageError, match=r"--data\.k=4: must be at most n=3"):
        FitSettings(ONLINE, [*cells, {"data.n": 3, "data.k": 4}], compiled=True)


def test_settings_of_a_pack_are_those_of_cells_alone() -> None:
    cells = [
        {"model.optimizer.lr": 0.1, "model.initialization": "uniform", "data.label_noise": 0.0},
        {"model.optimizer.lr": 1, "model.initialization": "gaussian", "data.label_noise": 0.25},
    ]
    (_, beside), _ = MakeRunner(tuple(ONLINE), None, 1, False)._settings(cells)
    alone = TrialConfigCLI(command_line(ONLINE, cells[1])).setting()
    assert beside.parity == alone.parity or vars(beside.parity) == vars(alone.parity)
    assert beside.module.make_optimizer()[0].defaults == alone.module.make_optimizer()[0].defaults
    for ours, its in zip(beside.start(7).module.parameters(), alone.start(7).module.parameters(), strict=True):
        assert ours.equal(its)
