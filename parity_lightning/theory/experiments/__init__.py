"""The paper's theory, an experiment a module: each has a function ``run`` whose options are those of the command line.

An experiment's options have types, defaults and a description in the docstring; it returns `Findings` and writes
nothing. It takes about a minute with its defaults.
"""

EXPERIMENTS = {
    "fourier": "the Fourier gap of majority and of a ReLU neuron (Definition 1, Section 4.1)",
    "initial-gradient": "the support read off the gradient at initialization (Proposition 5)",
    "one-big-step": "one large step finds the features, then the second layer learns (Theorem 4)",
    "kernels": "kernels fail where the network learns, from the same samples (Theorem 6)",
    "gradient-flow": "gradient flow on disjoint-PolyNets has a phase transition (Theorem 7)",
    "online-polynet": "SGD with batches of one example on disjoint-PolyNets (Theorem 8)",
    "random-search": "convergence times against the geometric law of random search (Section 3.2)",
    "layerwise": "greedy layers learn nothing where end-to-end training learns all (Section 5)",
    "hidden-progress": "Fourier gap and weight movement along SGD, and on random labels (Figure 3)",
    "solvers": "elimination over GF(2) and exhaustive search, for perspective",
}
"""The experiments: the name of each, of its module with ``_`` for ``-``, and what it shows."""
