"""What came out of a run in words: the closing table of ``fit``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parity_lightning.display.table import format_table

# Of Lightning's names, the one for single precision, which is the default.
_PRECISION = "32-true"


def table(summary: Mapping[str, Any]) -> str:
    """Renders a summary for a terminal of 80 columns.

    Example:
        >>> print(table({"solved": False, "stop_reason": "max_steps", "steps": 100, "val_accuracy": 0.5,
        ...              "n": 50, "k": 3, "regime": "online", "batch_size": 32, "seed": 0, "data_seed": 1}))
        (50, 3)-parity, online, B=32, seed 0, data seed 1
          solved               no (max_steps after 100 steps)
          validation accuracy  50.0 %
    """
    return f"{title(summary)}\n{format_table(rows(summary), indent=2)}"


def rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What came out of a run: names and words."""
    known = {name: value for name, value in summary.items() if value is not None}
    rows: list[tuple[str, str]] = []
    why = f"({known.get('stop_reason')} after {known.get('steps', 0):,} steps)"
    if known.get("solved"):
        when = f", at step t_c = {known['convergence_time']:,}" if "convergence_time" in known else ""
        rows.append(("solved", f"yes{when}"))
        if known.get("stop_reason") != "solved":
            rows.append(("stopped", why))
    else:
        rows.append(("solved", f"no {why}"))
    if "val_accuracy" in known:
        of = f" of {known['val_examples']:,} examples" if "val_examples" in known else ""
        rows.append(("validation accuracy", f"{100 * known['val_accuracy']:.1f} %{of}"))
    if "onset" in known:
        rows.append(("onset", f"step {known['onset']:,}"))
    if "plateau_share" in known:
        rows.append(("plateau share", f"{known['plateau_share']:.2f} of the way to t_c"))
    if "hidden_progress" in known:
        parts = (f"{name} {known[key]:.3g}" for name, key in _PARTS if key in known)
        rows.append(("hidden progress", f"{known['hidden_progress']:.3g} ({', '.join(parts)})"))
    if "support" in known:
        rows.append(("support", _listed(known["support"])))
    if "recovered_support" in known:
        found = len(set(known["recovered_support"]) & set(known.get("support", [])))
        short = found < known["k"] and known.get("solved")
        note = "; solved all the same: these weights moved most, others may decide" if short else ""
        right = f"({found} of {known['k']} right{note})"
        rows.append(("recovered support", f"{_listed(known['recovered_support'])} {right}"))
    if "steps_per_second" in known:
        rows.append(("speed", f"{known['steps_per_second']:,.0f} steps/s, {known['elapsed_seconds']:.1f} s in all"))
    return rows


_PARTS = (("relevant", "hidden_progress_relevant"), ("irrelevant", "hidden_progress_irrelevant"))


def title(summary: Mapping[str, Any]) -> str:
    """What was run: the parity, the regime, the batch size and the seeds.

    Args:
        summary: What ``summary.json`` holds.
    """
    known = {name: value for name, value in summary.items() if value is not None}
    parts = []
    if "n" in known and "k" in known:
        parts.append(f"({known['n']}, {known['k']})-parity")
    if "regime" in known:
        parts.append(f"{known['regime']}, m={known['num_samples']:,}" if "num_samples" in known else known["regime"])
    if "batch_size" in known:
        parts.append(f"B={known['batch_size']:,}")
    if known.get("label_noise"):
        parts.append(f"label noise {known['label_noise']}")
    if "seed" in known:
        parts.append(f"seed {known['seed']}")
    if known.get("data_seed", known.get("seed")) != known.get("seed"):
        parts.append(f"data seed {known['data_seed']}")
    if known.get("precision", _PRECISION) != _PRECISION:
        parts.append(f"precision {known['precision']}")
    return ", ".join(parts)


def _listed(indices: Sequence[int], most: int = 10) -> str:
    shown = " ".join(map(str, indices[:most]))
    return shown if len(indices) <= most else f"{shown} and {len(indices) - most} more"
