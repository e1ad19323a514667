"""The figures of the paper: plans that grow, rules that decide, stores that are reused, and the page on them all."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
from conftest import CONFIGS, ROOT, complaint
from matplotlib.figure import Figure
from report_files import results_of, write_sweep

from parity_lightning.cli import main
from parity_lightning.cli.figure import run_figure
from parity_lightning.cli.figure_curves import read_curve
from parity_lightning.cli.figure_options import FigureOptions, PaperOptions
from parity_lightning.cli.figure_store import config_file
from parity_lightning.cli.paper import run_paper, write_page
from parity_lightning.errors import SettingError
from parity_lightning.figures import FIGURES, figure4_left, figure_of
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.medians import published_claim
from parity_lightning.figures.minutes import minutes_of
from parity_lightning.figures.page import page_of
from parity_lightning.figures.published import MEDIANS
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import SCALES, Scale
from parity_lightning.figures.verdicts import Score, Verdict, ratios
from parity_lightning.statistics.variance_share import share_between
from parity_lightning.studies.cells import Cell, Extent, Grid
from parity_lightning.studies.claims import Claim
from parity_lightning.studies.settings import Settings
from parity_lightning.studies.store import Store
from parity_lightning.studies.stored_study import StoredStudy, reached


def runs_of(figure: PaperFigure, scale: Scale, seed: int = 0, solved: float = 1.0) -> Runs:
    """What trials of a plan might come to, out of a hat: times around those of a law in n and k."""
    random, plan = np.random.default_rng(seed), figure.plan(scale)
    trials = min(plan.trials, 40)
    outcomes, curves = [], []
    for cell in plan.cells:
        k, n = cell.get("data.k", 3), cell.get("data.n", 20)
        times = np.ceil(n ** (k / 2) * random.lognormal(1, 0.3, trials))
        times = np.where(random.random(trials) < solved, times, np.nan)
        outcomes.append(
            {
                "convergence_time": times,
                **{reached(threshold): 0.5 * times for threshold in (0.55, *cell.get("model.accuracy_thresholds", ()))},
                "onset": 0.8 * times,
                "steps": np.nan_to_num(times, nan=20_000),
                "val_accuracy": np.where(np.isnan(times), 0.5, 1.0),
            }
        )
        steps = np.arange(1, 30) * 100.0
        right = np.clip(steps / 2000, 0.5, 1)
        names = ["train/accuracy", "val/accuracy", "val/loss", "train/loss", "hidden_progress", "fourier_gap"]
        names += ["fourier_gap/strongest", "fourier_gap/irrelevant", "weights/0/relevant/1", "weights/0/irrelevant/2"]
        curve = {"step": steps, "val/errors": 1000 * (1 - right), **dict.fromkeys(names, right)}
        curves.append([curve] * plan.curves)
    return Runs(plan.cells, outcomes, [20_000] * len(plan.cells), curves, scale)


@pytest.mark.parametrize("name", FIGURES)
def test_a_larger_scale_has_all_of_a_smaller_one(name: str) -> None:
    plans = [figure_of(name).plan(scale) for scale in SCALES]
    for small, large in itertools.pairwise(plans):
        assert [cell for cell in small.cells if cell not in large.cells] == []
        assert small.trials <= large.trials
        assert small.curves <= large.curves
    assert len(plans[0].cells) * plans[0].trials <= 1_000
    for plan in plans:
        # Every option of every setting, so that settings of one configuration can be parsed together.
        options = {cell["config"]: set(cell) for cell in plan.cells}
        assert all(set(cell) == options[cell["config"]] for cell in plan.cells)
        assert all(config_file(cell["config"]).is_file() for cell in plan.cells)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("scale", ["smoke", "laptop"])
@pytest.mark.parametrize("solved", [1.0, 0.4, 0.0])
def test_claims_and_picture_bear_with_whatever_is_found(name: str, scale: Scale, solved: float) -> None:
    figure = figure_of(name)
    found = figure.claims(runs_of(figure, scale, solved=solved))
    rules = figure.claims(runs_of(figure, scale, seed=1))
    assert len({claim.statement.id for claim in found}) == len(found) > 0
    # A rule does not depend on what is found.
    assert [claim.rule for claim in found] == [claim.rule for claim in rules]
    if solved == 0:
        assert not [claim for claim in found if claim.verdict == "holds" and "t_c in steps" in claim.statement.text]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_drawn_at_every_scale(name: str) -> None:
    figure = figure_of(name)
    for scale, solved in (("smoke", 1.0), ("laptop", 0.7), ("laptop", 0.3)):
        drawn = Figure(figsize=figure.size, layout="constrained")
        figure.draw(runs_of(figure, scale, solved=solved), drawn)  # type: ignore[arg-type]
        assert drawn.axes
        # Axes of two scales have one title.
        titles: dict[Any, str] = {}
        for axes in drawn.axes:
            place = axes.get_subplotspec() or axes
            titles[place] = titles.get(place, "") + axes.get_title(loc="center") + axes.get_title(loc="left")
        assert all(titles.values())


def test_steps_to_each_threshold_are_read_from_a_store(tmp_path: Path) -> None:
    """As Figure 4 (left) needs it for networks that cannot express the parity."""
    found = results_of(np.array([[100.0, np.inf, np.inf]]))
    reached: list[tuple[int | None, ...]] = [(20, 60), (30, None), (None, None)]
    results = [result._replace(reached=steps) for result, steps in zip(found, reached, strict=True)]
    settings = Settings({"model.init_args.accuracy_thresholds": [0.55, 1.0]}, {}, {})
    store = Store(tmp_path / "s.sqlite", Grid({}), [settings], Extent(3))
    store.add(results)
    store.close()
    study = StoredStudy(tmp_path / "s.sqlite")
    numbers = study.numbers_of(0, 3)
    study.close()
    assert numbers["reached_0.55"].tolist() == pytest.approx([20, 30, np.nan], nan_ok=True)
    assert numbers["reached_1"].tolist() == pytest.approx([60, np.nan, np.nan], nan_ok=True)
    assert numbers["convergence_time"].tolist() == pytest.approx([100, np.nan, np.nan], nan_ok=True)
    # Of networks whose module has no thresholds there is nothing.
    write_sweep(tmp_path / "t.sqlite", np.array([[5.0]]), [10])
    study = StoredStudy(tmp_path / "t.sqlite")
    assert not [name for name in study.numbers_of(0, 1) if name.startswith("reached")]
    study.close()


def test_a_median_holds_inside_the_factor_and_not_outside() -> None:
    def verdict(times: Sequence[float]) -> str:
        return published_claim("id", "what", "section", "", 100.0, np.array(times)).verdict

    assert verdict([120.0] * 9) == "holds"
    assert verdict([160.0] * 9) == "does not hold"
    assert verdict([60.0] * 9) == "does not hold"
    # The exact interval of nine trials reaches from the second to the eighth.
    assert verdict([140.0] * 5 + [160.0] * 4) == "cannot tell"
    # Unsolved trials count as slow.
    assert verdict([120.0] * 4 + [np.inf] * 5) == "cannot tell"
    assert verdict([np.inf] * 9) == "does not hold"
    assert verdict([120.0] * 5) == "cannot tell"


def test_published_numbers_give_claims_that_hold() -> None:
    """The figures' own numbers, as if they were ours."""
    figure = figure_of("1-right")
    plan = figure.plan("laptop")
    published = [MEDIANS[Path(c["config"]).stem.removeprefix("1-right-")][c["data.k"]][c["data.n"]] for c in plan.cells]
    runs = Runs(plan.cells, [{"convergence_time": np.full(25, x)} for x in published], [20_000] * len(published))
    claims = figure.claims(runs)
    assert {claim.verdict for claim in claims} == {"holds"}
    assert len(claims) == len(published) + 2 * len(MEDIANS)
    twice = Runs(plan.cells, [{"convergence_time": np.full(25, 2 * x)} for x in published], runs.limits)
    off = [claim for claim in figure.claims(twice) if claim.statement.id.endswith("-off")]
    assert [round(float(claim.found.value), 1) for claim in off] == [2.0] * 4
    assert {claim.verdict for claim in figure.claims(twice)} == {"does not hold"}


def test_random_search_would_be_told_from_diminishing_returns() -> None:
    figure = figure_of("4-left")
    cells = figure.plan("laptop").cells
    times = [dict.fromkeys(("convergence_time", "reached_0.55"), np.full(50, 1e7 // c["model.width"])) for c in cells]
    claims = {claim.statement.id: claim for claim in figure.claims(Runs(cells, times, [10**8] * len(cells)))}
    assert claims["diminishing"].verdict == "does not hold"
    assert claims["plateau"].verdict == "does not hold"


def test_a_memoryless_search_would_be_told_from_late_convergence() -> None:
    figure = figure_of("2-left")
    plan = figure.plan("smoke")
    random = np.random.default_rng(0)
    geometric = [{"convergence_time": 5.0 * random.geometric(0.02, 2_000)} for _ in plan.cells]
    claims = figure.claims(Runs(plan.cells, geometric, [20_000] * len(plan.cells)))
    assert {claim.verdict for claim in claims if not claim.statement.id.endswith("tail")} == {"does not hold"}


def test_the_share_of_variance_is_that_of_the_model() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        # Variances of 3 and 1.
        values = random.normal(0, np.sqrt(3), (20, 1)) + random.normal(0, 1, (20, 5))
        share = share_between(values)
        covered += share.low <= 0.75 <= share.high
    assert 180 <= covered <= 198
    assert share_between(random.normal(size=(200, 5))).value < 0.1


def test_a_run_that_is_solved_before_it_fits_its_examples_has_no_gap() -> None:
    """Figure 4 (right): a run ends once it is solved, so train error may not have been seen to vanish by then."""
    figure = figure_of("4-right")
    plan = figure.plan("laptop")
    steps = np.array([100.0, 200, 300])
    right = {"val/accuracy": np.array([0.5, 0.9, 1.0]), "val/errors": np.array([400.0, 80, 0])}
    early = {"step": steps, "train/accuracy": np.array([0.5, 0.8, 0.99]), **right}
    late = {"step": steps, "train/accuracy": np.array([1.0, 1.0, 1.0]), **right}
    outcomes = [{"convergence_time": np.full(25, 300.0)} for _ in plan.cells]
    for curve, gap in ((early, 1.0), (late, 3.0)):
        runs = Runs(plan.cells, outcomes, [100_000] * len(plan.cells), [[curve] * 3] * len(plan.cells))
        found = {claim.statement.id: claim.found for claim in figure.claims(runs)}
        assert (found["m10000-gap"].value, found["m10000-gap"].low, found["m10000-gap"].high) == (gap, gap, gap)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> PaperFigure:
    """Figure 4 (left) with networks that take no time: a width, then two."""
    figure = figure4_left.FIGURE

    def plan(scale: Scale) -> Plan:
        widths, trials, curves = {"smoke": ((20,), 2, 1), "laptop": ((20, 5), 3, 1), "paper": ((5,), 9, 0)}[scale]
        fixed: dict[str, Any] = {"data.n": 8, "data.k": 2, "trainer.max_steps": 60, "trainer.val_check_interval": 20}
        fixed |= {"config": "4-left.yaml", "trainer.accelerator": "cpu", "data.batch_size": 8}
        return Plan([{**fixed, "model.width": width} for width in widths], trials, curves)

    changed = replace(figure, plan=plan)
    monkeypatch.setattr(figure4_left, "FIGURE", changed)
    return changed


def test_a_figure_is_run_once_kept_and_grows(
    tiny: PaperFigure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = FigureOptions("smoke", str(tmp_path))
    folder = run_figure("4-left", options, compiled=False)
    told = capsys.readouterr().out
    assert "1 setting x 2 trials = 2, 2 of them to run" in told
    assert "at most" in told
    assert folder == tmp_path / "figure-4-left" / "smoke"
    assert {file.name for file in folder.iterdir()} == {
        *("4-left.png", "4-left.svg", "data.csv", "trials.parquet", "verdict.json")
    }
    verdict = json.loads((folder / "verdict.json").read_text())
    assert (verdict["scale"], verdict["options"]) == ("smoke", {"scale": "smoke", "seed": 0})
    assert str(tmp_path) not in (folder / "verdict.json").read_text()
    needed = {"id", "quote", "section", "paper", "ours", "low", "high", "n", "censored", "tolerance", "verdict"}
    assert all({*needed, "scale", "choices", "command"} <= set(claim) for claim in verdict["claims"])
    first = parquet.read_table(folder / "trials.parquet").to_pylist()
    assert [(row["width"], row["seed"]) for row in first] == [(20, 0), (20, 1)]
    assert {row["config"] for row in first} == {"4-left"}
    # A run of `fit` with the same seed, so the same trial.
    (curve,) = (tmp_path / "figure-4-left" / "curves").iterdir()
    assert read_curve(curve)["step"].tolist() == list(range(20, first[0]["steps"] + 1, 20))
    assert read_curve(curve)["val/accuracy"][-1] == pytest.approx(first[0]["val_accuracy"])

    # What it took is not worth a refusal.
    (tmp_path / "figure-4-left" / "time-smoke.json").write_text('{"sec')
    large = run_figure("4-left", replace(options, scale="laptop"), compiled=False)
    assert "2 settings x 3 trials = 6, 4 of them to run" in capsys.readouterr().out
    rows = parquet.read_table(large / "trials.parquet").to_pylist()
    assert [row for row in rows if row["width"] == 20 and row["seed"] < 2] == first

    # What the larger scale has run is enough for the smaller one, whose files are the same again.
    before = (folder / "data.csv").read_text(), (folder / "4-left.svg").read_text()
    run_figure("4-left", options, compiled=False)
    assert "all there already" in capsys.readouterr().out
    assert ((folder / "data.csv").read_text(), (folder / "4-left.svg").read_text()) == before
    page = run_paper(PaperOptions("smoke", str(tmp_path), page=str(tmp_path / "own.md"), run="nothing"))
    assert "Scope: 1 of" in page.read_text()
    assert "](own/4-left/4-left.png)" in page.read_text()
    assert (tmp_path / "own" / "4-left" / "verdict.json").read_bytes() == (folder / "verdict.json").read_bytes()

    with pytest.raises(SettingError, match="--output"):
        run_figure("4-left", replace(options, scale="paper"), compiled=False)
    with pytest.raises(SettingError, match="begin with seed 0; give --seed=0 or another --output") as refused:
        run_figure("4-left", replace(options, seed=5), compiled=False)
    assert str(refused.value).startswith("--seed=5: ")

    # A scale whose trials another one has run has taken no time of its own.
    time = json.loads((folder.parent / "time-smoke.json").read_text())["seconds"]
    run_figure("4-left", options, compiled=False)
    assert json.loads((folder.parent / "time-smoke.json").read_text())["seconds"] == time


def test_a_figure_goes_on_in_rounds_from_wherever_it_was_stopped(
    tiny: PaperFigure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stops = [True]

    def then(runs: Runs) -> Sequence[Cell]:
        widths = runs.values_of("width")
        if len(widths) == 2 and stops and stops.pop():
            raise KeyboardInterrupt
        # Each round a unit less than in the narrowest so far, which its own trials decide to be enough at 17.
        return [{**runs.cells[-1], "model.width": min(widths) - 1}] if min(widths) > 17 else []

    monkeypatch.setattr(figure4_left, "FIGURE", replace(tiny, then=then, claims=lambda runs: []))
    options = FigureOptions("smoke", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        run_figure("4-left", options, compiled=False)
    assert "round 2: 2 settings x 2 trials = 4, 2 of them to run" in capsys.readouterr().out
    folder = run_figure("4-left", options, compiled=False)
    told = capsys.readouterr().out
    # The two rounds that had been run are not run again, and neither tells of it twice.
    assert told.count("all there already") == 1
    assert "round 2" not in told
    assert "round 4: 4 settings x 2 trials = 8, 2 of them to run" in told
    rows = parquet.read_table(folder / "trials.parquet").to_pylist()
    assert [row["width"] for row in rows] == [20, 20, 19, 19, 18, 18, 17, 17]
    # A larger scale may go on in another way, so it has trials of its own.
    run_figure("4-left", replace(options, scale="laptop"), compiled=False)
    assert "to run" in capsys.readouterr().out
    stores = {file.name for file in (tmp_path / "figure-4-left").glob("*.sqlite")}
    assert stores == {"study-smoke.sqlite", "study-laptop.sqlite"}


def test_the_list_and_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["figure", "--list"])
    assert ended.value.code == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(FIGURES)
    for arguments, told in (
        (["4-lft"], "4-lft: no such figure; did you mean 4-left?"),
        (["4-left", "--scale=smok"], "--scale=smok: must be smoke, laptop or paper"),
        (["4-left", "--nonsense=1"], "--nonsense: no such option"),
        (["4-left", "--output=/proc/none"], "--output=/proc/none: cannot be written"),
        (["--scale=smoke"], "give the figure"),
    ):
        assert told in complaint(["figure", *arguments], capsys)
    assert "--run=all: must be missing or nothing" in complaint(["paper", "--run=all"], capsys)


def claim_of(verdict: str, **content: Any) -> dict[str, Any]:
    made = Claim.not_attempted(figure_of("4-left").claims(runs_of(figure_of("4-left"), "smoke"))[0].statement, "why")
    return {**made.as_dict(), "verdict": verdict, **content}


def test_the_page_counts_claims_and_names_what_does_not_hold() -> None:
    claims = [
        claim_of("holds", id="near", paper=100.0, ours=110.0, low=90.0, high=130.0),
        claim_of("does not hold", id="far", paper=100.0, ours="inf", low=400.0, high="inf", n=25, censored=20),
        claim_of("not attempted", id="none"),
    ]
    content = {
        "claims": claims,
        "seconds": 90.0,
        "command": "C",
        "machine": "M",
        "our_choices": ["B=7"],
        "scale": "smoke",
    }
    verdict = Verdict("4-left", content)
    assert verdict.score == Score(1, 1, 0, 1)
    assert [(ratio.claim, ratio.value, ratio.low) for ratio in ratios([verdict])] == [
        ("near", 1.1, 0.9),
        ("far", np.inf, 4.0),
    ]
    page = page_of([verdict], "paper")
    assert "**1 of 2 claims tried hold, 1 do not, and for 0 the data cannot tell; 1 were not attempted.**" in page
    assert "`far`: paper 100, read off, ours inf (400 to inf)" in page
    assert "`parity-lightning figure 1-right` was not run" in page
    assert "- B=7" in page
    assert "| 25 | 20 | **does not hold** |" in page


def test_the_page_in_the_docs_is_that_of_the_verdicts_beside_it(tmp_path: Path) -> None:
    page = ROOT / "docs" / "paper.md"
    verdicts = [Verdict.of(file) for file in (page.with_suffix("")).glob("*/verdict.json")]
    assert page.read_text() == page_of(verdicts, "paper")
    for verdict in verdicts:
        folder = page.with_suffix("") / verdict.name
        assert {f"{verdict.name}.png", "data.csv"} <= {file.name for file in folder.iterdir()}
        # What a figure says before it begins is what the page says that it took.
        if minutes := minutes_of(verdict.name, "laptop", 1):
            assert minutes == pytest.approx(verdict.content["core_seconds"] / 60, abs=0.06)
    # The page can be made anywhere.
    write_page(tmp_path / "own.md")
    assert "0 of 0 claims" in (tmp_path / "own.md").read_text()


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "is no verdict.json, or damaged"), ('{"experiment": "3-top", "claims": []}', "which this version has not")],
)
def test_a_verdict_that_cannot_be_used_is_named(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "page" / "old" / "verdict.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(SettingError, match=told) as refused:
        write_page(tmp_path / "page.md")
    assert str(file) in str(refused.value)
    assert not (tmp_path / "page.md").exists()


def test_every_configuration_of_a_figure_is_used_and_says_what_is_the_papers() -> None:
    used = {cell["config"] for name in FIGURES for scale in SCALES for cell in figure_of(name).plan(scale).cells}
    assert {name for name in used if "/" not in name} == {file.name for file in (CONFIGS / "figures").iterdir()}
    for file in (CONFIGS / "figures").iterdir():
        head = file.read_text().partition("\nseed_everything")[0]
        assert f"parity-lightning fit --config configs/figures/{file.name}" in head
        assert re.search(r"The paper", head)
        assert re.search(r"Our\W+choice", head)
