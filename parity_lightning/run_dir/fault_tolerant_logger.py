"""Loggers whose failure does not end a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from lightning.pytorch.loggers import Logger

from parity_lightning.terminal.output import complain

_METHODS = ("log_metrics", "log_hyperparams", "log_graph", "save", "finalize", "after_save_checkpoint")


class NullExperiment:
    """Stands in for the experiment of a logger that has failed: every attribute exists, every call does nothing."""

    def __getattr__(self, name: str) -> NullExperiment:
        """Returns itself."""
        return self

    def __call__(self, *_: Any, **__: Any) -> NullExperiment:
        """Does nothing."""
        return self


class FaultTolerantLogger:
    """Passes everything on to a logger until it fails, when its service is out of reach for example; then to none.

    Training goes on, for ``metrics.csv`` has everything. The wrapper counts as an instance of the logger's own class,
    so code that looks for a ``WandbLogger`` among the trainer's loggers finds it.

    Args:
        logger: Any logger but that of ``metrics.csv``.
    """

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._failed = False

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class of the wrapped logger."""
        return type(self._logger)

    @property
    def experiment(self) -> Any:
        """The experiment of the wrapped logger; once that has failed, a `NullExperiment`."""
        # Loggers without an experiment of their own have no such attribute.
        return self._attempt(lambda: cast("Any", self._logger).experiment, NullExperiment())

    def __getattr__(self, name: str) -> Any:
        """Any other attribute of the wrapped logger."""
        attribute = getattr(self._logger, name)
        if name not in _METHODS:
            return attribute
        return lambda *args, **kwargs: self._attempt(lambda: attribute(*args, **kwargs), None)

    def _attempt(self, act: Callable[[], Any], otherwise: Any) -> Any:
        if self._failed:
            return otherwise
        try:
            return act()
        except Exception as error:
            self._failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            message = f"{type(self._logger).__name__} failed, training goes on without it ({reason})"
            complain(message)
            return otherwise
