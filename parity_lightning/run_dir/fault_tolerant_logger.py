"""Loggers that a run can do without."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from lightning.pytorch.loggers import Logger

_METHODS = ("log_metrics", "log_hyperparams", "log_graph", "save", "finalize", "after_save_checkpoint")


class Nothing:
    """Takes whatever is asked of it, and does nothing."""

    def __getattr__(self, name: str) -> Nothing:
        """Is there, whatever its name."""
        return self

    def __call__(self, *_: Any, **__: Any) -> Nothing:
        """Does nothing."""
        return self


def tolerate_failures(logger: Logger) -> None:
    """Has a run go on without a logger that fails, a service out of reach say; ``metrics.csv`` has everything.

    Args:
        logger: Any but that of ``metrics.csv``; changed in place.
    """
    kind = type(logger)
    failed = False

    def guarded(act: Callable[..., Any], otherwise: Any) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal failed
            if failed:
                return otherwise
            try:
                return act(*args, **kwargs)
            except Exception as error:
                failed = True
                why = " ".join(f"{type(error).__name__}: {error}".split())
                print(f"{kind.__name__} failed, training goes on without it ({why[:200]})", file=sys.stderr, flush=True)
                return otherwise

        return run

    for name in _METHODS:
        setattr(logger, name, guarded(getattr(logger, name), None))
    if isinstance(experiment := getattr(kind, "experiment", None), property) and experiment.fget is not None:
        look = guarded(experiment.fget, Nothing())
        # Under a name of its own, for the command line finds classes by their names.
        logger.__class__ = type(f"_Spare{kind.__name__}", (kind,), {"experiment": property(look)})
