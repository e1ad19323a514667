"""One large step over a large batch finds the features that solve the parity problem (Section 4.1, Theorem 4)."""
