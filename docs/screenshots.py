"""Makes the pictures of pages: reports on real runs, TensorBoard, and this site, in Chromium without a window.

make screenshots    # some minutes, most of them the sweep and the figure
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from browser import Page, browser

from parity_lightning.cli import main

_ROOT = Path(__file__).parents[1]
_PICTURES = _ROOT / "docs" / "pictures"
_LIVE = "live"
_MADE_BY = (
    ["fit", "--config=configs/online.yaml"],
    ["trials", "--config=configs/online.yaml", "--trials=100", "--output=trials.parquet"],
    ["sweep", "configs/sweeps/first.yaml"],
    ["figure", "4-left", "--scale=smoke"],
    ["theory", "fourier"],
    [
        "fit",
        "--config=configs/online.yaml",
        "--config=configs/loggers/tensorboard.yaml",
        f"--trainer.default_root_dir={_LIVE}",
    ],
)
_SITE = ("index", "tutorial", "reference/callbacks")


def _paths() -> dict[str, str]:
    """Where the results lie, below the current folder."""
    (run,) = Path("runs").glob("*-MLP-*")
    (theory,) = Path("runs").glob("*-theory-*")
    figure = "runs/figure-4-left/smoke"
    return {
        "run": str(run),
        "trials": "trials.parquet",
        "sweep": "runs/sweep-first",
        "figure": figure,
        "theory": str(theory),
    }


def _hover(page: Page) -> None:
    """Puts the mouse where the run leaves its plateau."""
    box = page.value(
        "(() => { const box = document.querySelectorAll('.panel > svg')[1].getBoundingClientRect();"
        "return [box.x + 0.85 * box.width, box.y + box.height / 2]; })()"
    )
    page.mouse("mouseMoved", *box)


def _take_reports(page: Page, paths: dict[str, str]) -> None:
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
    page.send("Emulation.setEmulatedMedia", media="")
    assert page.errors == []


@contextmanager
def _tensorboard(folder: str) -> Iterator[str]:
    """TensorBoard on a folder; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={folder}", f"--port={port}", "--load_fast=false"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "TensorBoard has ended"
                assert time.monotonic() < end, "TensorBoard does not answer"
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _take_tensorboard(page: Page) -> None:
    with _tensorboard(_LIVE) as address:
        layout = f"fetch('{address}/data/plugin/custom_scalars/layout').then((got) => got.json())"
        page.open(address, width=1500, height=560)
        # The files have been read.
        page.wait_for(f"{layout}.then((layout) => Boolean(layout.category))")
        page.open("about:blank")
        page.open(f"{address}/#custom_scalars", width=1500, height=560)
        end = time.monotonic() + 60
        # One request for each chart.
        while sum("custom_scalars/scalars" in request for request in page.requests) < 3:
            assert time.monotonic() < end, "TensorBoard draws nothing"
            page.value("1")
            time.sleep(0.2)
        # Lines are drawn as they come.
        time.sleep(5)
        page.screenshot(_PICTURES / "tensorboard.png")


def _take_site(page: Page) -> None:
    site = Path("site").absolute()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", f"--site-dir={site}"]
    subprocess.run(command, cwd=_ROOT, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    for name in _SITE:
        page.open(site / f"{name}.html", width=1300, height=900)
        time.sleep(1)
        page.screenshot(_PICTURES / f"site-{name.rpartition('/')[2]}.png")


def make() -> None:
    """Makes them."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(_ROOT / "configs", Path(folder) / "configs")
        os.chdir(folder)
        with browser() as page:
            for words in _MADE_BY:
                main(words)
            _take_reports(page, _paths())
            _take_site(page)
            _take_tensorboard(page)
        os.chdir(_ROOT)


if __name__ == "__main__":
    make()
