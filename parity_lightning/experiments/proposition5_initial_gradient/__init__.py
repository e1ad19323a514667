"""How many samples it takes to read the support off the gradient at initialization (Section 4.1, Proposition 5)."""
