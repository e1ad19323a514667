"""What trials of several settings are trials of, in a line: what varies is named and not given a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def heading(settings: Sequence[Mapping[str, Any]]) -> str:
    """The networks and the parities of some settings.

    Args:
        settings: Values by column, of each setting.

    Example:
        >>> row = {"architecture": "parity_lightning.modules.mlp.MLP", "n": 50, "k": 3}
        >>> heading([row]), heading([row, {**row, "n": 20}])
        ('MLP on the (50, 3)-parity', 'MLP on (n, 3)-parities, n from 20 to 50')
        >>> heading([row, {**row, "n": 20, "architecture": "PolyNet", "k": 2}])
        '2 architectures on (n, k)-parities, n from 20 to 50, k from 2 to 3'
    """
    kinds = list(dict.fromkeys(str(setting["architecture"]).rpartition(".")[2] for setting in settings))
    who = kinds[0] if len(kinds) == 1 else f"{len(kinds)} architectures"
    values = {name: sorted({setting[name] for setting in settings}) for name in ("n", "k")}
    if all(len(found) == 1 for found in values.values()):
        return f"{who} on the ({values['n'][0]}, {values['k'][0]})-parity"
    words = ", ".join(str(found[0]) if len(found) == 1 else name for name, found in values.items())
    ranges = "".join(f", {name} from {found[0]} to {found[-1]}" for name, found in values.items() if len(found) > 1)
    return f"{who} on ({words})-parities{ranges}"


def conditions(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Regime, batch size and interval of evaluations, as far as all settings have the same.

    Example:
        >>> conditions([{"num_samples": None, "batch_size": b, "val_check_interval": 50} for b in (32, 64)])
        ['online', 'evaluated every 50 steps']
    """

    def same(name: str) -> list[Any]:
        values = {setting[name] for setting in settings}
        return list(values) if len(values) == 1 else []

    regimes = ["online" if samples is None else f"m={samples:,}" for samples in same("num_samples")]
    batches = [f"B={batch:,}" for batch in same("batch_size")]
    evaluated = [f"evaluated every {every:,} steps" for every in same("val_check_interval")]
    return [*regimes, *batches, *evaluated]
