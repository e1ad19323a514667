"""Which arguments a class can be made with."""

from __future__ import annotations

from jsonargparse import ArgumentParser


def arguments_of(kind: type) -> list[str]:
    """The names of a class's arguments, those that it hands on by ``**kwargs`` among them.

    They are the options that the command line has for it.

    Example:
        >>> from parity_lightning import PolyNet
        >>> arguments_of(PolyNet)[:4]
        ['n', 'k', 'bias', 'loss']
    """
    parser = ArgumentParser(exit_on_error=False)
    return list(parser.add_class_arguments(kind, fail_untyped=False))
