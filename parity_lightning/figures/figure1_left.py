"""Figure 1 (left): training curves of eight networks on the (50, 3)-parity."""

from __future__ import annotations

from parity_lightning.figures.curve_panels import Panel, curves_figure
from parity_lightning.figures.scales import Scale


def _panel(
    name: str,
    title: str,
    config: str,
    batch_size: int = 32,
    published: float | None = None,
    has_plateau: bool = True,
    scale: Scale = "laptop",
) -> Panel:
    cell = {"config": f"1-left-{config}.yaml", "data.batch_size": batch_size}
    return Panel(name, title, cell, published, has_plateau, scale)


PANELS = (
    _panel("relu", "ReLU MLP (B=32)", "relu"),
    _panel("relu-large", "ReLU MLP (B=1024)", "relu", 1024, published=7.6e6 / 1024),
    _panel("relu-middle", "ReLU MLP (B=256)", "relu", 256),
    # Of x^k the paper says that there is no plateau, in large batches.
    _panel("power", r"$x^k$ MLP", "power", has_plateau=False, scale="smoke"),
    _panel("zigzag", "width-1 zigzag", "zigzag"),
    _panel("sinusoid", "width-1 sin(w·x+b)", "sinusoid"),
    _panel("transformer", "Transformer", "transformer", published=2.4e4 / 32, scale="paper"),
    _panel("polynet", r"PolyNet $\prod(w_i\cdot x+b)$", "polynet", published=8.0e3 / 32, scale="smoke"),
)
"""In the order of the paper; published times in steps, read off as examples."""

_CHOICES = (
    "(50, 3), 5 runs each, B=1024 of one ReLU panel and Adam at 0.0003 with B=32 of the Transformer are the paper's",
    "ReLU: eta=0.1, and B=32 or 256 in panels whose B could not be read; others: eta, loss and initialization as in "
    "Figure 1 (right), the zigzag as the sinusoid",
    "solved: the rule of Finding 1, at least 20 % of the runs",
    "evaluated every 10 steps; ended after 20,000 steps; the Transformer, whose curves take hours, runs at the scale "
    "paper only",
)

FIGURE = curves_figure("Training curves of eight networks", PANELS, "Figure 1 (left)", _CHOICES, 4, (13.0, 6.0))
