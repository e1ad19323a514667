"""Modules that can be made a second time."""

from __future__ import annotations

from typing import Any, ClassVar

from typing_extensions import Self


class Reinitializable:
    """Remembers what it was made with, whatever the arguments of a subclass.

    It is a class of its own, and the first base, so that nothing hides the arguments of ``__init__`` from who reads
    them there.
    """

    bare: ClassVar[bool] = False
    """Whether instances now being made need nothing but what is drawn at random."""

    _init_args: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remembers the arguments."""
        instance = super().__new__(cls)
        object.__setattr__(instance, "_init_args", (args, kwargs))
        return instance

    @property
    def init_args(self) -> tuple[Any, ...]:
        """The values of all arguments that were given."""
        args, kwargs = self._init_args
        return (*args, *kwargs.values())

    def reinitialize(self, bare: bool = False) -> Self:
        """Makes another with the same arguments; what is random is drawn anew.

        Args:
            bare: Whether it needs nothing but its network, which is faster to make: for trials by the thousand.
        """
        args, kwargs = self._init_args
        Reinitializable.bare = bare
        try:
            return type(self)(*args, **kwargs)
        finally:
            Reinitializable.bare = False
