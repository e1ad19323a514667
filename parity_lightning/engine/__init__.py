"""Training many networks at once, compiled, without Lightning: one step of T stacked trials is the only fast one."""
