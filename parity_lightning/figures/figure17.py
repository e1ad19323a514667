"""Figure 17 of the extended version: wide networks of units z^k in large batches have no plateau."""

from __future__ import annotations

from matplotlib.figure import Figure

from parity_lightning.display.style import GRAY, color_of
from parity_lightning.figures.curve_panels import PLATEAU
from parity_lightning.figures.figure import PaperFigure, Plan, say_not_run
from parity_lightning.figures.medians import plateau_share_of
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.studies.claims import Claim, Statement

_SECTION = "Section 3.1"
_QUOTE = (
    "Strikingly, for architectures (v) and (vi), this plateau is absent: the error in the initial phase appears to "
    "decrease with a linear slope."
)

_NAMES = {
    ("17-power", 100): r"$x^k$, width 100",
    ("17-power", 1_000): r"$x^k$, width 1,000",
    ("17-relu", 1_000): "ReLU, width 1,000",
}
_CHOICES = (
    "z^k: B=1024 and eta=0.01 are the paper's; (30, 3), hinge loss, PyTorch's own initialization ours",
    "ReLU, width 1,000: B=1024 and eta=0.1 are the paper's; (30, 3), hinge loss, uniform initialization ours",
    "plateau share: onset over t_c, the onset being when error is told from one half; no plateau: at most a quarter; "
    "a plateau: at least a half",
)


def plan(scale: Scale) -> Plan:
    """Two widths of units z^k, and ReLUs; smoke the narrow one."""
    names = list(_NAMES)[:1] if scale == "smoke" else list(_NAMES)
    cells = [{"config": f"{config}.yaml", "model.width": width} for config, width in names]
    trials, curves = {"smoke": (2, 0), "laptop": (25, 5), "paper": (25, 5)}[scale]
    return Plan(cells, trials, curves)


def claims(runs: Runs) -> list[Claim]:
    """The share of its time that each network stays on the plateau."""
    made = []
    for config, width in _NAMES:
        is_power = config == "17-power"
        text = f"{'z^k' if is_power else 'ReLU'}, width {width:,}: median share of t_c on the plateau"
        quote, paper = (_QUOTE, "absent") if is_power else (PLATEAU, "long")
        statement = Statement(f"{config.removeprefix('17-')}-{width}", text, _SECTION, quote, paper)
        where = {"config": config, "width": width}
        if not runs.places(**where):
            made.append(Claim.not_attempted(statement, "runs at the scales laptop and paper"))
            continue
        found = plateau_share_of(runs.column("onset", **where), runs.times(**where))
        made.append(Claim.at_most(statement, found, 0.25) if is_power else Claim.at_least(statement, found, 0.5))
    return made


def draw(runs: Runs, figure: Figure) -> None:
    """Draws validation errors of each network."""
    panels = figure.subplots(1, len(_NAMES), sharey=True)
    for number, (axes, ((config, width), name)) in enumerate(zip(panels, _NAMES.items(), strict=True)):
        axes.set_title(name)
        axes.axhline(0.5, color=GRAY, linewidth=0.8, linestyle=":")
        axes.set(xlabel="SGD iterations", ylim=(-0.02, 0.55))
        places = runs.places(config=config, width=width)
        if not places:
            say_not_run(axes)
            axes.set_xticks([])
            continue
        for curve in runs.curves[places[0]]:
            axes.plot(curve["step"], 1 - curve["val/accuracy"], color=color_of(number), linewidth=1.2)
        axes.set_xlim(left=0)
    panels[0].set_ylabel("validation error")


FIGURE = PaperFigure("No plateau for wide z^k in large batches", plan, claims, draw, _CHOICES, (11.0, 4.0))
