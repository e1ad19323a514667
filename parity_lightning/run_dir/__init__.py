"""The life of a run on disk: its folder, its files, and resuming it."""
