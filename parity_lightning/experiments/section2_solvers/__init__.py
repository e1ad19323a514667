"""Solvers that are no gradient descent: the samples and seconds they need (Section 2)."""
