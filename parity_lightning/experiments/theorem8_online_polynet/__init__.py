"""SGD with batches of one example on disjoint-PolyNets: how many steps, and from which initializations (Theorem 8)."""
