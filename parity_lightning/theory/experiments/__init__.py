"""The paper's theory, an experiment a module: each has a function ``run`` whose options are those of the command line.

An experiment's options have types, defaults and a description in the docstring; it returns `Findings` and writes
nothing. It takes about a minute with its defaults.
"""

EXPERIMENTS = {
    "fourier": "the Fourier gap of majority and of a ReLU neuron (Definition 1, Section 4.1)",
}
"""The experiments: the name of each, of its module with ``_`` for ``-``, and what it shows."""
