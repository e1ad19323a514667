"""Finding 1: which cells are drawn, how they are tried, and when one is decided, in worlds whose truth is known."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from parity_lightning.figures import figure_of
from parity_lightning.figures.robustness_grid import (
    BUDGETS,
    FEWEST_STEPS,
    MOST_STEPS,
    NEEDED,
    RATES,
    TRIALS,
    GridCell,
    Try,
    drawn,
    is_solvable,
    next_cells,
    states,
    steps_within,
    tries_of,
)
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.studies.cells import Cell

FIGURE = figure_of("finding-1")

World = Callable[[GridCell, float], float]
"""After how many steps a trial of a cell is solved at a rate; infinite if it never is."""


def outcome(cell: Cell, seconds: float) -> dict[str, np.ndarray]:
    """Trials that all take the same time, and end at the limit if they have not been solved by then."""
    limit = cell["trainer.max_steps"]
    times = np.full(TRIALS, seconds if seconds <= limit else np.nan)
    return {"convergence_time": times, "steps": np.nan_to_num(times, nan=limit)}


def played(scale: Scale, world: World, most_rounds: int = 12) -> tuple[Runs, int]:
    """All rounds of a scale in a world, and how many there were."""
    runs, rounds = Runs([], [], [], scale=scale), 0
    while more := next_cells(runs):
        rounds += 1
        assert rounds <= most_rounds
        # Whoever is asked again gives the same answer.
        assert next_cells(runs) == more
        grid = [next(iter(tries_of(Runs([cell], [outcome(cell, np.inf)], [1])))) for cell in more]
        times = [world(own, cell["model.optimizer.lr"]) for own, cell in zip(grid, more, strict=True)]
        cells = [*runs.cells, *more]
        outcomes = [*runs.outcomes, *map(outcome, more, times)]
        runs = Runs(cells, outcomes, [cell["trainer.max_steps"] for cell in cells], scale=scale)
    return runs, rounds


def own_time(cell: GridCell, lr: float) -> float:
    """A number of steps out of a hat, the same every time; every cell has one rate at which it is solved."""
    number = zlib.crc32(repr(cell).encode())
    return float(10 ** (1 + number % 4)) if lr == RATES[number // 4 % 4] else np.inf


def test_cells_are_drawn_once_and_all_in_the_end() -> None:
    every = drawn("paper")
    assert len(every) == len(set(every)) == 18 * 3 * 3 * 11 * 3 * 3
    assert every[:300] == drawn("laptop")
    # A fair draw: of 300 cells each setting gets 16.7 on average, with a deviation of 4.
    assert all(3 <= count <= 33 for count in Counter(cell.setting for cell in drawn("laptop")).values())


def test_a_cell_is_found_solvable_where_its_budget_reaches() -> None:
    runs, rounds = played("laptop", own_time)
    assert rounds <= len(RATES) * len(BUDGETS["laptop"])
    found = {cell: solvable for cell, solvable, _ in states(runs)}
    for cell in drawn("laptop"):
        within = steps_within(BUDGETS["laptop"][-1], cell)
        tried = cell.setting != "star-iii" and within >= FEWEST_STEPS
        reached = min(own_time(cell, lr) for lr in RATES) <= within
        # Nothing that failed within a budget below the paper's steps is refuted.
        assert found[cell] is (True if tried and reached else False if tried and within == MOST_STEPS else None)


def test_nothing_is_tried_twice() -> None:
    runs, _ = played("laptop", lambda cell, lr: np.inf)
    for tries in tries_of(runs).values():
        assert len({(each.lr, each.steps) for each in tries}) == len(tries)
        assert len({each.lr for each in tries}) == len(RATES)
    assert {solvable for _, solvable, _ in states(runs)} == {None, False}


def test_the_rate_that_solved_its_neighbours_is_tried_next() -> None:
    first = next_cells(Runs([], [], [], scale="laptop"))
    assert {cell["model.optimizer.lr"] for cell in first} == {RATES[0]}
    alike = [cell for cell in first if cell["config"].endswith("/vii.yaml")]
    solved = [{**cell, "model.optimizer.lr": 0.001} for cell in alike[1:]]
    outcomes = [*(outcome(cell, np.inf) for cell in first), *(outcome(cell, 20.0) for cell in solved)]
    cells = [*first, *solved]
    next_rate = {
        cell["config"].rpartition("/")[2]: cell["model.optimizer.lr"]
        for cell in next_cells(Runs(cells, outcomes, [c["trainer.max_steps"] for c in cells], scale="laptop"))
    }
    assert next_rate["vii.yaml"] == 0.001
    # Of what is solved of a setting others learn less.
    unknown = Runs(first, outcomes[: len(first)], [c["trainer.max_steps"] for c in first], scale="laptop")
    assert {cell["model.optimizer.lr"] for cell in next_cells(unknown)} == {RATES[1]}


@pytest.mark.parametrize(("small", "large"), [("smoke", "laptop"), ("laptop", "paper")])
def test_a_larger_scale_begins_with_the_first_tries_of_a_smaller(small: Scale, large: Scale) -> None:
    few, many = ({repr(cell) for cell in next_cells(Runs([], [], [], scale=scale))} for scale in (small, large))
    assert few < many


def test_a_trial_that_diverges_early_is_refuted() -> None:
    (cell, *_) = next_cells(Runs([], [], [], scale="smoke"))
    limit = cell["trainer.max_steps"]
    nothing = np.full(TRIALS, np.nan)
    early = {"convergence_time": nothing, "steps": np.full(TRIALS, limit // 2)}
    late = {"convergence_time": nothing, "steps": np.full(TRIALS, limit)}
    for outcomes, failed in ((early, TRIALS), (late, 0)):
        ((found,),) = tries_of(Runs([cell], [outcomes], [limit])).values()
        assert found == Try(cell["model.optimizer.lr"], limit, 0, failed)


def test_a_cell_is_decided_by_a_fifth_of_its_trials() -> None:
    enough, few = Try(0.1, 500, NEEDED, 0), Try(0.1, 500, NEEDED - 1, TRIALS - NEEDED + 1)
    assert is_solvable([enough]) is True
    assert is_solvable([few]) is None
    assert is_solvable([few._replace(lr=lr) for lr in RATES]) is False
    assert is_solvable([few._replace(lr=lr, failed=TRIALS - NEEDED) for lr in RATES]) is None
    assert is_solvable([]) is None


def test_undecided_cells_widen_the_interval_and_small_batches_do_not_count_where_the_paper_leaves_them_out() -> None:
    def world(cell: GridCell, lr: float) -> float:
        return np.inf if cell.batch_size < 16 and cell.setting.startswith("star") else 20.0

    runs, _ = played("laptop", world)
    claims = {claim.statement.id: claim for claim in FIGURE.claims(runs)}
    # Of (*i) and (*ii) only the cells with large batches are claimed, and none is refuted by a small one.
    for name in ("star-i", "star-ii"):
        large = [cell for cell in drawn("laptop") if cell.setting == name and cell.batch_size >= 16]
        assert claims[name].found.n == len(large) < sum(cell.setting == name for cell in drawn("laptop"))
        assert claims[name].verdict == "holds"
    # What is not decided may be solvable, and may not be.
    assert claims["star-iii"].found.ends == (0.0, 1.0)
    assert claims["star-iii"].found.censored == claims["star-iii"].found.n
    # Too few cells to say it of all.
    smoke, _ = played("smoke", lambda cell, lr: 20.0)
    small = {claim.statement.id: claim for claim in FIGURE.claims(smoke)}
    assert small["all"].found.value == 1.0
    assert small["all"].verdict == "cannot tell"


def test_cells_that_cannot_be_refuted_do_not_speed_up_a_share() -> None:
    """A share of those decided would be too high: where trials end early, only solvable cells are."""
    runs, _ = played("laptop", own_time)
    (full,) = [claim for claim in FIGURE.claims(runs) if claim.statement.id == "full"]
    cells = [
        cell
        for cell in drawn("laptop")
        if not cell.setting.startswith("star") and steps_within(BUDGETS["laptop"][-1], cell) == MOST_STEPS
    ]
    assert full.found.n == len(cells)
    truth = np.mean([min(own_time(cell, lr) for lr in RATES) <= MOST_STEPS for cell in cells])
    assert full.found.value == pytest.approx(truth)


def test_claims_name_what_is_not_solvable_and_count_what_is_not_decided() -> None:
    runs, _ = played("laptop", lambda cell, lr: 20.0 if cell.setting != "x" else np.inf)
    claims = {claim.statement.id: claim for claim in FIGURE.claims(runs)}
    assert claims["i"].verdict == claims["vii"].verdict == "holds"
    assert claims["x"].verdict == claims["all"].verdict == "does not hold"
    assert claims["star-iii"].verdict == "cannot tell"
    refuted, undecided = FIGURE.notes(runs)
    assert refuted.startswith("not solvable: (x) at (")
    cells = FIGURE.tables(runs)["cells"]
    assert len(cells) == 300
    counted = sum(row._asdict()["solvable"] == "undecided" for row in cells)
    assert undecided == f"undecided: {counted} of 300 cells, see cells.csv"
    data = [row._asdict() for row in FIGURE.tables(runs)["data"]]
    assert sum(row["cells"] for row in data) == 300
    assert all(row["cells"] == row["solvable"] + row["not_solvable"] + row["undecided"] for row in data)
