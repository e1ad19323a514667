"""The picture: accuracy against the number of samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import GRAY, color_of, legend_below
from parity_lightning.experiments.theorem6_kernels.options import Options
from parity_lightning.experiments.theorem6_kernels.rows import NETWORK, NTK, Fit
from parity_lightning.theory.kernel_ridge import predicted
from parity_lightning.theory.kernels import relu_ntk


def draw_picture(fits: Sequence[Fit], options: Options, figure: Figure) -> None:
    """Draws the accuracy of the NTK, predicted and fitted, and of the network.

    Args:
        fits: What each learner does in each trial.
        options: Options of the experiment.
        figure: An empty figure.
    """
    axes = figure.subplots()
    k, samples = options.k, options.samples
    sizes = np.geomspace(samples / 30, samples * 3000, 60)
    for number, n in enumerate(options.n):
        kernel, color = relu_ntk(n, options.width), color_of(number)
        curve = [predicted(kernel, k, round(size), options.ridge * kernel[0]).accuracy for size in sizes]
        axes.semilogx(sizes, curve, color=color, label=f"n={n}: NTK, predicted")
        for learner, mark, label in ((NTK, "o", "NTK, fitted"), (NETWORK, "*", "network, trained")):
            own = [fit for fit in fits if (fit.n, fit.learner) == (n, learner)]
            found, places = [fit.right / fit.tested for fit in own], [fit.samples for fit in own]
            # Networks of several n are all right: a smaller star upon a larger one.
            size = 14 - 3 * number if mark == "*" else 5
            axes.plot(places, found, mark, color=color, markersize=size, label=f"n={n}: {label}")
        axes.axvline(math.comb(n, k), color=color, linestyle=":", label=f"n={n}: C(n,{k})")
    axes.axhline(0.5, color=GRAY, linewidth=0.8)
    axes.set(xlabel="samples m", ylabel="test accuracy")
    axes.set_title("What the same samples teach a kernel and a network")
    legend_below(figure, columns=len(options.n))
