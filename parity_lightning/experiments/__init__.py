"""The paper's theory, a package for each experiment, and what they share.

A package has its options in ``options.py``, which imports neither torch nor NumPy, so that help is printed at once;
``run`` in ``experiment.py``; what is claimed in ``claims.py``; and how it is drawn in ``picture.py``. An experiment
takes one to four minutes with its defaults.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """An experiment of ``parity-lightning theory``.

    Attributes:
        package: Its package in this one.
        summary: What it shows, in a line.
    """

    package: str
    summary: str


EXPERIMENTS = {
    "fourier": Entry(
        "definition1_fourier_gap", "the Fourier gap of majority and of a ReLU neuron (Definition 1, Section 4.1)"
    ),
    "initial-gradient": Entry(
        "proposition5_initial_gradient", "the support read off the gradient at initialization (Proposition 5)"
    ),
    "one-big-step": Entry(
        "theorem4_one_big_step", "one large step finds the features, then the second layer learns (Theorem 4)"
    ),
    "kernels": Entry("theorem6_kernels", "kernels fail where the network learns, from the same samples (Theorem 6)"),
    "gradient-flow": Entry(
        "theorem7_gradient_flow", "gradient flow on disjoint-PolyNets has a phase transition (Theorem 7)"
    ),
    "online-polynet": Entry(
        "theorem8_online_polynet", "SGD with batches of one example on disjoint-PolyNets (Theorem 8)"
    ),
    "random-search": Entry(
        "section3_random_search", "convergence times against the geometric law of random search (Section 3.2)"
    ),
    "layerwise": Entry(
        "section5_layerwise", "greedy layers learn nothing where end-to-end training learns all (Section 5)"
    ),
    "hidden-progress": Entry(
        "figure3_hidden_progress", "Fourier gap and weight movement along SGD, and on random labels (Figure 3)"
    ),
    "solvers": Entry("section2_solvers", "elimination over GF(2) and exhaustive search, for perspective"),
}
"""The experiments by the names that the command line has for them."""
