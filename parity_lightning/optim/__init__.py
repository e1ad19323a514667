"""Losses, optimizers and schedules that PyTorch does not have."""
