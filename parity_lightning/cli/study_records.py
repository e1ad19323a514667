"""What came of trials as ``--json`` has it: of each setting the share solved and the quantiles, and power laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity_lightning.statistics.scaling import ScalingCurve
from parity_lightning.statistics.survival import quantile_of, solved_share

QUANTILES = (0.1, 0.5, 0.9)


def setting_record(values: Mapping[str, Any], times: np.ndarray) -> dict[str, Any]:
    """What came of the trials of a setting.

    Args:
        values: What tells it from the others, by column.
        times: The convergence times of its trials, infinite where one was not solved.

    Example:
        >>> record = setting_record({"n": 10}, np.array([10.0, 20.0, 30.0, np.inf]))
        >>> record["values"], record["trials"], record["solved"], record["share"]["value"]
        ({'n': 10}, 4, 3, 0.75)
        >>> record["convergence_time"]["0.5"]["value"]
        25.0
    """
    record: dict[str, Any] = {"values": dict(values), "trials": len(times), "solved": int(np.isfinite(times).sum())}
    if not len(times):
        return {**record, "share": None, "convergence_time": None}
    found = {f"{share:g}": quantile_of(times, share)._asdict() for share in QUANTILES}
    return {**record, "share": solved_share(times)._asdict(), "convergence_time": found}


def law_records(curves: Sequence[ScalingCurve]) -> list[dict[str, Any]]:
    """The power laws that were fitted to the medians of curves."""
    return [
        {"against": curve.column, "where": curve.others, **curve.law._asdict()}
        for curve in curves
        if curve.law is not None
    ]
