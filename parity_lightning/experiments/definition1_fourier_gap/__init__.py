"""The Fourier gap of majority, and so of a ReLU neuron's derivative (Section 4.1, Definition 1)."""
