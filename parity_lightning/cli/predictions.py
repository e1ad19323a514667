"""Predictions as a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch


def write_predictions(path: Path, batches: Sequence[Any]) -> None:
    """Writes what a module's ``predict_step`` returned, a row an example.

    Args:
        path: A CSV file. Its first column is the example's index in the test stream.
        batches: Of each batch a tensor of shape ``(examples,)`` or a dict of such tensors by the name of their column.
    """
    tables = [batch if isinstance(batch, dict) else {"prediction": batch} for batch in batches]
    names = list(tables[0]) if tables else []
    columns = [torch.cat([table[name] for table in tables]).tolist() for name in names]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["index", *names])
        writer.writerows([index, *row] for index, row in enumerate(zip(*columns, strict=True)))
