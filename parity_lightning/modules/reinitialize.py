"""Modules that can be made a second time."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from typing_extensions import Self

_NETWORK_ONLY: ContextVar[bool] = ContextVar("network_only", default=False)


class Reinitializable:
    """Remembers the arguments it was made with, whatever those of a subclass are.

    It must be the first base class: then ``__init__`` of the others keeps its own signature, which the command line
    reads.
    """

    _init_args: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remembers the arguments."""
        instance = super().__new__(cls)
        object.__setattr__(instance, "_init_args", (args, kwargs))
        return instance

    @property
    def init_args(self) -> tuple[Any, ...]:
        """The values of all arguments it was made with."""
        args, kwargs = self._init_args
        return (*args, *kwargs.values())

    def reinitialize(self, network_only: bool = False) -> Self:
        """Makes another instance with the same arguments; random weights are drawn anew.

        Args:
            network_only: Whether the instance needs its network only, which is faster to make: for trials by the
                thousand.
        """
        args, kwargs = self._init_args
        before = _NETWORK_ONLY.set(network_only)
        try:
            return type(self)(*args, **kwargs)
        finally:
            _NETWORK_ONLY.reset(before)


def needs_network_only() -> bool:
    """Whether the instance that is being made needs its network only."""
    return _NETWORK_ONLY.get()
