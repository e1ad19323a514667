"""The picture: how often the support is found, and from how many samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from parity_lightning.display.style import color_of, legend_below, ticks_at
from parity_lightning.experiments.proposition5_initial_gradient.rows import Found
from parity_lightning.statistics.percentiles import percentile_interval
from parity_lightning.statistics.survival import share_of
from parity_lightning.theory.initial_gradient import success_law


def draw_picture(groups: Sequence[Sequence[Found]], figure: Figure) -> None:
    """Draws how often the support is found against the samples, and the samples needed for half against n.

    Args:
        groups: What the trials of each k and neuron found, by ascending n.
        figure: An empty figure.
    """
    left, right = figure.subplots(1, 2)
    common = min(group[-1].n for group in groups)
    for number, group in enumerate(groups):
        # One n for all, if this setting has it.
        each = next((each for each in group if each.n == common), group[-1])
        color, label = color_of(number), f"n={each.n}, k={each.k}, {each.neuron}"
        shares = np.array([share_of(int(count), len(each.found)) for count in each.found.sum(0)]).T
        ends = np.abs(shares[1:] - shares[0])
        left.errorbar(each.sizes, shares[0], ends, fmt="o", markersize=4, linewidth=0.8, color=color, label=label)
        fine = np.geomspace(each.sizes[0], each.sizes[-1], 50)
        left.semilogx(fine, [success_law(each.n, each.k, samples, each.bias) for samples in fine], color=color)
        if each.law:
            n = np.array([each.n for each in group])
            half = np.array([each.half for each in group])
            ends = np.abs(np.array([percentile_interval(each.halves) for each in group]).T - half)
            right.errorbar(n, half, ends, fmt="o", markersize=4, linewidth=0.8, color=color)
            right.loglog(n, [each.law for each in group], color=color)
            growth = n ** (each.k - 1.0) * np.log(n)
            right.loglog(n, group[0].law * growth / growth[0], ":", color=color)
    # N spans more than a decade: what is between its powers would only overlap.
    left.xaxis.set_minor_formatter(NullFormatter())
    left.set(xlabel="samples N", ylabel="share of trials")
    left.set_title("The k largest |g_i| are the support")
    right.set(xlabel="inputs n", ylabel="N at half")
    right.set_title("Solid: law; dotted: $n^{k-1}\\,\\ln n$")
    ticks_at(right.xaxis, [each.n for group in groups for each in group])
    legend_below(figure)
