"""Statistics of convergence times and shares; nothing here depends on PyTorch or Lightning."""
