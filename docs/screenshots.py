"""Makes the pictures of docs/report.md: real runs, their report, and Chromium without a window.

make screenshots    # two minutes, most of it the sweep
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from browser import Page, browser

from parity_lightning.cli import main

_ROOT = Path(__file__).parents[1]
_PICTURES = _ROOT / "docs" / "pictures"
_MADE_BY = {
    "run": ["fit", "--config=configs/online.yaml"],
    "trials": ["trials", "--config=configs/online.yaml", "--trials=100", "--output=trials.parquet"],
    "sweep": ["sweep", "configs/sweeps/first.yaml"],
    "theory": ["theory", "fourier"],
}


def _paths() -> dict[str, str]:
    """Where the results lie, below the current folder."""
    (run,) = Path("runs").glob("*-MLP-*")
    (theory,) = Path("runs").glob("*-theory-*")
    return {"run": str(run), "trials": "trials.parquet", "sweep": "runs/sweep-first", "theory": str(theory)}


def _hover(page: Page) -> None:
    """Puts the mouse where the run leaves its plateau."""
    box = page.value(
        "(() => { const box = document.querySelectorAll('.panel > svg')[1].getBoundingClientRect();"
        "return [box.x + 0.85 * box.width, box.y + box.height / 2]; })()"
    )
    page.mouse("mouseMoved", *box)


def _take(page: Page, paths: dict[str, str]) -> None:
    for name, path in paths.items():
        file = Path(f"{name}.html")
        main(["report", path, f"--output={file}"])
        page.open(file, height=1600)
        if name == "run":
            _hover(page)
        page.screenshot(_PICTURES / f"report-{name}.png", whole=True)
    main(["report", *paths.values(), "--output=all.html"])
    page.open(Path("all.html"), height=900)
    page.screenshot(_PICTURES / "report-all.png")
    page.open(Path("run.html"), width=720)
    page.send("Emulation.setEmulatedMedia", media="print")
    page.screenshot(_PICTURES / "report-print.png", whole=True)
    assert page.errors == []


def make() -> None:
    """Makes them."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(_ROOT / "configs", Path(folder) / "configs")
        os.chdir(folder)
        with browser() as page:
            for words in _MADE_BY.values():
                main(words)
            _take(page, _paths())
        os.chdir(_ROOT)


if __name__ == "__main__":
    make()
