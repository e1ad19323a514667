"""Kernels fail where the network learns, from the same samples (Theorem 6; Theorem 5 of the extended version)."""
