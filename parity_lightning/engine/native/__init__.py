"""SGD steps and evaluations in C++ for networks whose gradients are a few lines: compiled once, for all shapes."""
