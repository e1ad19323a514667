"""The notebooks run as they are, and hold what they showed when they last did."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def kinds(cell: dict) -> set[str]:  # type: ignore[type-arg]
    """What a cell shows: texts, tables, pictures; notes, as that something is compiled, come once only."""
    shown = {kind for output in cell.get("outputs", []) for kind in output.get("data", {output.get("name"): ""})}
    return shown - {"stderr"}


@pytest.mark.compiles
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_holds(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    # The kernel finds the package where these tests find it.
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    shown = nbformat.read(path, as_version=4)
    run = nbformat.read(path, as_version=4)
    NotebookClient(run, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert [kinds(cell) for cell in run.cells] == [kinds(cell) for cell in shown.cells]
    assert {kind for cell in shown.cells for kind in kinds(cell)} == {"stdout", "text/html", "text/plain", "image/png"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_tells_nothing_of_the_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < 200_000
    assert not [place for place in ("/tmp/", "/home/", "/root/", "/work/", "site-packages") if place in text]
