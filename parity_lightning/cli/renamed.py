"""Names of earlier versions: each is refused with the name that has replaced it."""

from __future__ import annotations

OPTIONS = {
    "model.layers": "model.param_groups",
    "model.screen": "model.val_screen_size",
    "stack": "stack_size",
    "wander_n": "langevin_n",
    "wanderers": "langevin_networks",
    "wander_step": "langevin_step",
    "wander_tries": "langevin_tries",
}
"""Options by their paths without dashes, on the command line and in configuration files."""

CLASSES = {"Timetable": "PiecewiseSchedule", "DecayedSGD": "SGDW"}
"""Classes by their names, alone or at the end of a path into this package."""


def new_option(option: str) -> str | None:
    """The option that has replaced another one.

    Example:
        >>> new_option("model.layers"), new_option("model.width")
        ('model.param_groups', None)
    """
    return OPTIONS.get(option)


def new_class(class_path: str) -> str | None:
    """The class that has replaced another one of this package.

    Example:
        >>> new_class("parity_lightning.schedules.Timetable"), new_class("my_module.Timetable")
        ('PiecewiseSchedule', None)
    """
    module, _, name = class_path.rpartition(".")
    return CLASSES.get(name) if not module or module.partition(".")[0] == "parity_lightning" else None
