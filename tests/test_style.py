"""Pictures: legends beside the data, one style, nothing left behind in Matplotlib."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from parity_lightning.display.run_picture import draw_run
from parity_lightning.display.style import PALETTE, draw_to, legend, legend_below
from parity_lightning.display.trials_picture import draw_trials


def legends_of(figure: Figure) -> list[Bbox]:
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    every = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    return [each.get_window_extent(renderer) for each in every if each]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    saved: list[Figure] = []
    save = Figure.savefig

    def kept(self: Figure, *args: object, **options: object) -> None:
        save(self, *args, **options)  # type: ignore[arg-type]
        saved.append(self)

    monkeypatch.setattr(Figure, "savefig", kept)
    return saved


def assert_legends_overlap_nothing(figure: Figure, count: int) -> None:
    legends = legends_of(figure)
    assert len(legends) == count
    for place, box in enumerate(legends):
        others = [axes.get_window_extent() for axes in figure.axes] + legends[:place]
        assert not any(box.overlaps(other.padded(-1)) for other in others)
        assert figure.bbox.padded(2).contains(box.x0, box.y0)
        assert figure.bbox.padded(2).contains(box.x1, box.y1)


def test_the_legends_of_a_run_overlap_no_data(tmp_path: Path, figures: list[Figure]) -> None:
    steps, falling = list(range(10, 510, 10)), np.linspace(1, 0.01, 50).tolist()
    names = ("relevant", "relevant_min", "irrelevant")
    curves = {f"hidden_progress/{name}": falling for name in names} | {"fourier_gap": falling}
    curves |= {f"{stage}/{metric}": falling for stage in ("train", "val") for metric in ("loss", "accuracy")}
    draw_run(tmp_path / "run", steps, curves, "MLP on a (50, 3)-parity", onset=100, convergence_time=400)
    (figure,) = figures
    assert_legends_overlap_nothing(figure, 3)
    assert (tmp_path / "run").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("count", [1, 2, 8])
def test_the_legends_of_trials_overlap_no_data(count: int, tmp_path: Path, figures: list[Figure]) -> None:
    times = np.random.default_rng(0).geometric(0.01, (count, 30)).astype(float)
    common = {"architecture": "modules.MLP", "k": 3, "val_check_interval": 1, "max_steps": 2000}
    settings = [{**common, "n": 20 + number, "model.optimizer.lr": 0.1} for number in range(count)]
    draw_trials(tmp_path / "trials.png", settings, ["n", "model.optimizer.lr"] if count > 1 else [], times)
    (figure,) = figures
    # Where n varies, medians against it have a legend, too.
    assert_legends_overlap_nothing(figure, 2 if count == 1 else 3)


def test_the_style_is_for_the_picture_alone(tmp_path: Path, figures: list[Figure]) -> None:
    before = dict(matplotlib.rcParams)

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.plot([1, 2], label="a")
        right.plot([2, 1], label="b")
        left.set_title("left")
        legend(left)
        legend(right)
        legend_below(figure)

    draw_to(tmp_path / "picture.png", draw, (6, 3))
    assert dict(matplotlib.rcParams) == before
    (figure,) = figures
    left = figure.axes[0]
    assert left.lines[0].get_color() == PALETTE[0]
    assert not left.spines["top"].get_visible()
    assert left.get_title(loc="left") == "left"
    assert_legends_overlap_nothing(figure, 3)


def test_colours_stay_apart_for_colour_blind_people() -> None:
    # Machado, Oliveira and Fernandes (2009), full deuteranopia and protanopia, on linear light.
    simulations = {
        "none": np.eye(3),
        "deuteranopia": np.array(
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
        ),
        "protanopia": np.array(
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
        ),
    }
    colors = np.array([matplotlib.colors.to_rgb(color) for color in PALETTE])
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    for name, matrix in simulations.items():
        seen = np.clip(linear @ matrix.T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 9 * np.eye(len(PALETTE))
        assert apart.min() > 0.1, name
