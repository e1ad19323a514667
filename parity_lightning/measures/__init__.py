"""Measures of progress as pure functions of weights and errors; nothing here depends on Lightning."""
