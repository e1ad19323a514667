"""Convergence times of SGD against those of random search (Section 3.2)."""
