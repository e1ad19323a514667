"""Gradient flow on disjoint-PolyNets: nearly all of the time goes by before the error moves (Theorem 7)."""
