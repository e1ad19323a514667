"""The page in a browser: nothing fails, nothing is asked for, and what the mouse finds is what the files say."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Page, browser, find_browser
from report_files import write_experiment, write_run, write_sweep, write_trials

from parity_lightning.report.page import page_of
from parity_lightning.report.recognition import section_of
from parity_lightning.statistics.survival import quantile_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_browser() is None, reason="there is no Chromium"),
]

TIMES = np.array([[100.0, 120.0, 140.0, 200.0, 260.0, 300.0], [400.0, 480.0, 520.0, 800.0, np.inf, np.inf]])


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with browser() as page:
        yield page


def write(file: Path, *paths: Path) -> Path:
    file.write_text(page_of([section_of(str(path)) for path in paths]), encoding="utf-8")
    return file


def middle_of(tab: Page, selector: str, share: float = 0.5) -> tuple[float, float]:
    """A point in an element, in the middle of its height; the element is scrolled to first."""
    x, y, width, height = tab.value(
        f"(() => {{ const found = document.querySelector({selector!r});"
        "found.scrollIntoView({ block: 'center', behavior: 'instant' });"
        "const box = found.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; })()"
    )
    return x + share * width, y + height / 2


def told(tab: Page) -> dict[str, str]:
    """What stands beside the mouse; of names that are there twice the last."""
    lines: str = tab.value("[...document.querySelectorAll('.readout')].find((each) => !each.hidden)?.innerText ?? ''")
    return dict(line.split(": ", 1) for line in lines.splitlines() if ": " in line)


def assert_nothing_is_wrong(tab: Page, file: Path) -> None:
    assert tab.errors == []
    assert tab.requests == [file.as_uri()]


def test_a_run_tells_its_values_and_is_zoomed(tab: Page, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    file = write(tmp_path / "run.html", folder)
    tab.open(file)
    with (folder / "metrics.csv").open() as text:
        loss = {row["step"]: f"{float(row['val/loss']):.4g}" for row in csv.DictReader(text)}
    first = ".panel:first-of-type > svg"
    tab.mouse("mouseMoved", *middle_of(tab, first))
    found = told(tab)
    step = found["SGD steps"].replace(",", "")
    assert 900 <= int(step) <= 1150
    assert tab.value("document.querySelector('.readout').innerText").splitlines()[3].endswith(f": {loss[step]}")
    # The keys go to the next evaluation.
    tab.click(*middle_of(tab, first))
    tab.press("ArrowRight")
    assert told(tab)["SGD steps"] == f"{int(step) + 50:,}"
    assert f"{int(step) + 50:,}" in tab.value("document.querySelector('[aria-live]').textContent")
    x, y = middle_of(tab, first, 0.6)
    tab.mouse("mousePressed", x, y, button="left", clickCount=1)
    x, y = middle_of(tab, first, 0.8)
    tab.mouse("mouseMoved", x, y, button="left", buttons=1)
    tab.mouse("mouseReleased", x, y, button="left", clickCount=1)
    ticks = "[...document.querySelectorAll('.panel:first-of-type .xticks text')].map((each) => each.textContent)"
    shown = [float(tick.replace(",", "")) for tick in tab.value(ticks)]
    assert 1000 < min(shown) < max(shown) < 1700
    tab.press("Escape")
    assert tab.value(ticks)[0] == "0"
    assert_nothing_is_wrong(tab, file)


def test_tables_sort_by_numbers(tab: Page, tmp_path: Path) -> None:
    file = write(tmp_path / "sweep.html", write_sweep(tmp_path / "s" / "study.sqlite", TIMES, [10, 200]))
    tab.open(file)
    column = "[...document.querySelectorAll('tbody tr')].map((row) => row.cells[0].textContent)"
    assert tab.value(column) == ["10", "200"]
    tab.value("document.querySelectorAll('th button')[4].click()")
    tab.value("document.querySelectorAll('th button')[4].click()")
    assert tab.value(column) == ["200", "10"]
    assert tab.value("document.querySelectorAll('th')[4].getAttribute('aria-sort')") == "descending"
    assert tab.value("document.querySelectorAll('td')[4].textContent") == quantile_of(TIMES[1]).in_words()
    assert_nothing_is_wrong(tab, file)


def test_a_link_saves_the_file(tab: Page, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    file = write(tmp_path / "run.html", folder)
    saved = tmp_path / "saved"
    saved.mkdir()
    tab.open(file)
    tab.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(saved))
    tab.value("document.querySelector('a[download=\"metrics.csv\"]').click()")
    deadline = time.monotonic() + 30
    while not (saved / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (saved / "metrics.csv").read_bytes() == (folder / "metrics.csv").read_bytes()
    assert_nothing_is_wrong(tab, file)


def test_everything_on_one_page_fits_it(tab: Page, tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path / "run"),
        write_trials(tmp_path / "t.parquet", TIMES, [10, 20]),
        write_sweep(tmp_path / "s" / "study.sqlite", TIMES, [10, 20]),
        write_experiment(tmp_path / "theory"),
    ]
    file = write(tmp_path / "all.html", *paths)
    for width in (1000, 390):
        tab.open(file, width=width)
        assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value("document.querySelectorAll('svg[tabindex]').length") == 9
    assert_nothing_is_wrong(tab, file)


def test_without_a_script_all_is_there(tmp_path: Path) -> None:
    file = write(tmp_path / "run.html", write_run(tmp_path / "run"))
    with browser(script=False) as tab:
        tab.send("Page.navigate", url=file.as_uri())
        tab.send("Page.enable")
        tree = tab.send("Accessibility.getFullAXTree")["nodes"]
        said = [node.get("name", {}).get("value", "") for node in tree]
        assert any("solved: step 1,800" in each for each in said)
        assert any(each.startswith("Loss") for each in said)
        assert tab.errors == []


def test_a_hundred_thousand_trials_open_at_once(tab: Page, tmp_path: Path) -> None:
    times = np.random.default_rng(0).geometric(0.002, (1, 100_000)) * 10.0
    times[times > 1000] = np.inf
    path = write_trials(tmp_path / "many.parquet", times, [10])
    file = write(tmp_path / "many.html", path)
    took = min(tab.open(file) for _ in range(2))
    whole, trials = file.stat().st_size, path.stat().st_size * 4 / 3
    print(f"{whole / 1e6:.1f} MB, {trials / 1e6:.1f} of them the trials; opens in {took:.2f} s")
    assert whole - trials < 1e6
    assert tab.value("document.querySelectorAll('*').length") < 2000
    share = float(np.isfinite(times).mean())
    assert f"{100 * share:.1f} %" in tab.value("document.querySelector('tbody').textContent")
    assert_nothing_is_wrong(tab, file)
