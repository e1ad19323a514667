"""A run on disk: its folder, its files, and how it is resumed."""
