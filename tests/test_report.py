"""The page of a report: its numbers are those of the files, and everybody can read it."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
import yaml
from conftest import complaint, without_pictures
from page_tree import Element, parse
from report_files import COMPUTED, write_experiment, write_run, write_sweep, write_trials

from parity_lightning.cli import main
from parity_lightning.report.figures import COLORS
from parity_lightning.report.page import page_of
from parity_lightning.report.recognition import section_of, sections_of
from parity_lightning.statistics.survival import kaplan_meier, quantile_of, solved_share

TIMES = np.array([[100.0, 120.0, 140.0, 200.0, 260.0, 300.0], [400.0, 480.0, 520.0, 800.0, np.inf, np.inf]])


def page(*paths: Path) -> Element:
    return parse(page_of([section_of(str(path)) for path in paths]))


def file_on(tree: Element, name: str) -> bytes:
    """What a download link holds."""
    (link,) = (each for each in tree.every("a") if each.attributes.get("download") == name)
    kind, _, content = str(link.attributes["href"]).partition(";base64,")
    assert kind.startswith("data:")
    return base64.b64decode(content)


def data_of(figure: Element) -> dict[str, Any]:
    """The values that the script has of a figure."""
    found: dict[str, Any] = json.loads(figure.one("script").text)
    return found


@pytest.fixture
def everything(tmp_path: Path) -> list[Path]:
    return [
        write_run(tmp_path / "run"),
        write_trials(tmp_path / "trials.parquet", TIMES[:1], [10]),
        write_sweep(tmp_path / "sweep" / "study.sqlite", TIMES, [10, 20]),
        write_experiment(tmp_path / "theory"),
    ]


def test_a_run_has_its_dates_its_curves_and_its_files(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    tree = page(folder)
    assert tree.one("h2").text == "run MLP on the (50, 3)-parity, online, B=32, seed 4, data seed 5"
    facts = tree.facts()
    assert facts["solved"] == "yes, at step t_c = 1,800"
    assert facts["onset"] == "step 1,500"
    assert (facts["computed"], facts["version of parity-lightning"]) == (COMPUTED, "0.1.0")
    assert facts["model.width"] == "100"
    assert facts["trainer.callbacks"] == "HiddenProgress, StepCheckpoint {every_n_train_steps: 5000}"
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    loss, error, hidden = data_of(tree.one("figure"))["panels"]
    curves = {
        (panel["label"], line["name"]): (line["x"], line["y"])
        for panel in (loss, error, hidden)
        for line in panel["lines"]
    }
    steps = [int(row["step"]) for row in rows]

    def near(values: list[float]) -> Any:
        return pytest.approx(values, rel=1e-5)

    assert curves["loss", "validation examples"] == (steps, near([float(row["val/loss"]) for row in rows]))
    # The first row has no loss of training.
    assert curves["loss", "training batches"] == (steps[1:], near([float(row["train/loss"]) for row in rows[1:]]))
    wrong = [1 - float(row["val/accuracy"]) for row in rows]
    assert curves["error", "validation examples"] == (steps, near(wrong))
    strongest = [float(row["hidden_progress/relevant"]) for row in rows]
    assert curves["hidden progress", "inputs the label depends on, strongest"] == (steps, near(strongest))
    for name in ("config.yaml", "metrics.csv", "summary.json"):
        assert file_on(tree, name) == (folder / name).read_bytes()
    head, first, *_ = tree.one("table").rows()
    assert dict(zip(head, first, strict=True))["val/loss"] == "1.25"
    assert f"parity-lightning fit --config {folder}/config.yaml" in tree.one("pre").text


def test_the_drawn_curve_lies_where_its_axis_says(tmp_path: Path) -> None:
    tree = page(write_run(tmp_path / "run"))
    axis = data_of(tree.one("figure"))["x"]
    picture = next(each for each in tree.every("svg") if each.attributes.get("role") == "img")
    steps = [50, 2000]
    path = next(each for each in picture.every("path") if str(each.attributes.get("d")).count("L") == 39)
    points = [float(point.split(",")[0]) for point in re.split("[ML]", str(path.attributes["d"]))[1:]]
    for step, point in zip(steps, (points[0], points[-1]), strict=True):
        share = (step - axis["low"]) / (axis["high"] - axis["low"])
        assert point == pytest.approx(axis["start"] + share * (axis["end"] - axis["start"]), abs=0.06)


def test_a_run_at_work_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "summary.json").unlink()
    with (folder / "metrics.csv").open("a") as file:
        file.write("2050,0.1,0.")
    tree = page(folder)
    assert tree.one("h2").text == "run MLP on the (50, 3)-parity, B=32, seed 4"
    assert "no end yet" in tree.facts()["ended"]
    lines = data_of(tree.one("figure"))["panels"][0]["lines"]
    assert [line["x"][-1] for line in lines] == [2000, 2000]


def test_a_finite_sample_has_a_logarithmic_axis(tmp_path: Path) -> None:
    tree = page(write_run(tmp_path / "run", num_samples=1000))
    assert data_of(tree.one("figure"))["x"]["is_log"]
    assert not data_of(page(write_run(tmp_path / "online")).one("figure"))["x"]["is_log"]


def test_trials_have_the_shares_medians_and_curves_of_their_file(tmp_path: Path) -> None:
    path = write_trials(tmp_path / "t.parquet", TIMES, [10, 20])
    tree = page(path)
    assert tree.one("h2").text == "trials MLP on (n, 3)-parities, n from 10 to 20"
    facts = tree.facts()
    assert facts["solved"] == "10 of 12 trials of 2 settings solved"
    assert facts["computed"] == COMPUTED
    assert facts["seeds"].startswith("0 to 5")
    _, *rows = tree.one("table").rows()
    for (n, trials, share, _, median, last), times, size in zip(rows, TIMES, (10, 20), strict=True):
        found = solved_share(times)
        assert (n, trials, median) == (str(size), "6", quantile_of(times).in_words())
        assert share == f"{100 * found.value:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f})"
        assert last == ("unsolved" if size == 20 else "300")
    table = list(csv.DictReader(io.StringIO(file_on(tree, "table.csv").decode())))
    assert [float(row["median t_c (95 %)"]) for row in table] == [quantile_of(times).value for times in TIMES]
    against, curves = (data_of(figure) for figure in tree.every("figure"))
    assert against["panels"][0]["lines"][0]["y"] == [170, 660]
    shares = {line["name"]: line for line in curves["panels"][-1]["lines"]}
    assert list(shares) == ["n=10", "n=20"]
    curve = kaplan_meier(TIMES[0], 1000)
    assert shares["n=10"]["x"][1:] == curve.steps.tolist()
    assert shares["n=10"]["y"][1:] == pytest.approx(curve.share.tolist(), abs=1e-6)
    assert file_on(tree, "t.parquet") == path.read_bytes()


def test_of_one_setting_there_is_a_histogram_beside_random_search(tmp_path: Path) -> None:
    tree = page(write_trials(tmp_path / "t.parquet", TIMES[:1], [10]))
    histogram, survival = data_of(tree.one("figure"))["panels"]
    solved, expected = histogram["lines"]
    assert sum(solved["y"]) == 6
    # Of a geometric law some would come later than the last here.
    assert 3 < sum(expected["y"][:-1]) < 6
    assert [line["name"] for line in survival["lines"]] == ["measured", "random search of the same mean"]


def test_a_sweep_says_the_same_of_the_same_trials(tmp_path: Path) -> None:
    trials = page(write_trials(tmp_path / "t.parquet", TIMES, [10, 20]))
    sweep = page(write_sweep(tmp_path / "s" / "study.sqlite", TIMES, [10, 20]).parent)
    assert sweep.one("table").rows() == trials.one("table").rows()
    assert sweep.one("pre").text == trials.one("pre").text
    assert [data_of(each) for each in sweep.every("figure")] == [data_of(each) for each in trials.every("figure")]
    assert "2 of 2 configurations solvable" in sweep.text
    (tmp_path / "rows.parquet").write_bytes(file_on(sweep, "trials.parquet"))
    columns = ["n", "seed", "convergence_time"]
    exported = parquet.read_table(tmp_path / "rows.parquet", columns=columns)
    assert exported.to_pylist() == parquet.read_table(tmp_path / "t.parquet", columns=columns).to_pylist()


def test_a_figure_is_shown_at_each_of_its_scales(tmp_path: Path) -> None:
    home = tmp_path / "figure-4-left"
    write_sweep(home / "study.sqlite", TIMES, [10, 20])
    for scale in ("smoke", "laptop"):
        write_experiment(home / scale, scale)
    sections, _ = sections_of([str(home)])
    assert [section.title for section in sections] == ["Figure 4-left, laptop", "Figure 4-left, smoke"]
    assert sections[0].kind == "figure"
    assert sections[0].path == str(home / "laptop")


@pytest.mark.parametrize("done", [0, 4])
def test_a_sweep_at_work_is_shown_as_far_as_it_is(done: int, tmp_path: Path) -> None:
    tree = page(write_sweep(tmp_path / "s" / "study.sqlite", TIMES, [10, 20], done))
    assert f"{done} of {done} trials of 2 settings solved, {12 - done} more not run" in tree.facts()["solved"]
    assert tree.one("table").rows()[2] == ["20", "0", "-", "-", "-", "-"]
    assert ("No trial has been run yet." in tree.text) == (done == 0)


def test_the_command_repeats_the_settings(tmp_path: Path) -> None:
    tree = page(write_trials(tmp_path / "t.parquet", TIMES, [10, 20]))
    words = shlex.split(tree.one("pre").text)
    assert words[:3] == ["parity-lightning", "trials", "--config"]
    assert words[3:] == ["settings.yaml", "--seed_everything", "0", "--trials", "6", "--vary", "data.n=[10, 20]"]
    settings = yaml.safe_load(file_on(tree, "settings.yaml"))
    assert settings["model"] == {"class_path": "parity_lightning.MLP", "init_args": {"width": 10}}
    assert settings["trainer"] == {"max_steps": 1000, "val_check_interval": 10}
    assert settings["data"]["init_args"] == {"k": 3, "num_samples": None, "batch_size": 32}


@pytest.mark.compiles
def test_the_command_makes_the_same_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    online = Path(__file__).parents[1] / "configs" / "online.yaml"
    options = ["--data.k=2", "--model.width=20", "--trainer.val_check_interval=10", "--workers=1"]
    with without_pictures():
        main(["trials", f"--config={online}", "--trials=3", "--vary=data.n=[8,12]", "--output=first.parquet", *options])
    tree = page(tmp_path / "first.parquet")
    (tmp_path / "settings.yaml").write_bytes(file_on(tree, "settings.yaml"))
    _, *words = shlex.split(tree.one("pre").text)
    with without_pictures():
        main([*words, "--output=second.parquet", "--workers=1"])
    first, second = (parquet.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in ("first", "second"))
    assert first == second


def test_an_experiment_has_its_claims_with_their_verdicts_and_rules(tmp_path: Path) -> None:
    folder = write_experiment(tmp_path / "theory")
    tree = page(folder)
    claims = json.loads((folder / "verdict.json").read_text())["claims"]
    shown = tree.one("ol").every("li")
    assert [each.one("strong").text for each in shown] == ["✓ holds", "✗ does not hold", "? cannot tell"]
    for claim, each in zip(claims, shown, strict=True):
        assert claim["claim"] in each.one("p").text if not claim["quote"] else claim["quote"] in each.text
        assert each.facts()["rule"] == claim["rule"]
    facts = shown[0].facts()
    assert facts["paper"] == "0.5 (read off a figure)"
    assert facts["here"] == "0.75 (0.6 to 0.9)"
    assert facts["observations"] == "18, 2 of them censored"
    assert tree.one("table").rows() == [["n", "gap"], ["15", "0.1235"], ["1,025", "-"]]
    assert "our step size" in tree.text
    assert file_on(tree, "data.csv") == (folder / "data.csv").read_bytes()
    picture = tree.one("img")
    assert base64.b64decode(str(picture.attributes["src"]).partition("base64,")[2]).startswith(b"\x89PNG")


def test_the_page_asks_nobody_for_anything(everything: list[Path]) -> None:
    tree = page(*everything)
    addresses = [each.attributes[name] for each in tree.every() for name in ("src", "href") if name in each.attributes]
    assert len(addresses) > 10
    assert all(str(address).startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest|https?:(?!//www\.w3\.org/2000/svg)", tree.text)
    (policy,) = (each.attributes["content"] for each in tree.every("meta", http_equiv="Content-Security-Policy"))
    assert str(policy).startswith("default-src 'none'")
    ids = [each.attributes["id"] for each in tree.every() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    # One script, whatever is shown.
    assert len([each for each in tree.every("script") if each.attributes.get("type") != "application/json"]) == 1


def test_the_page_can_be_read_by_everybody(everything: list[Path]) -> None:
    tree = page(*everything)
    assert tree.one("html").attributes["lang"] == "en"
    levels = [int(each.name[1]) for each in tree.every() if re.fullmatch("h[1-6]", each.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for picture in tree.every("img"):
        assert len(str(picture.attributes["alt"])) > 20
    for picture in tree.every("svg"):
        if picture.attributes.get("aria-hidden") != "true":
            assert picture.one("title").text
            assert re.search(r"\d", picture.one("desc").text)
    for table in tree.every("table"):
        assert table.one("caption").text
        assert all(each.attributes["scope"] == "col" for each in table.every("th"))
    targets = {each.attributes.get("id") for each in tree.every()}
    inner = [str(each.attributes["href"])[1:] for each in tree.every("a") if each.attributes["href"] != ""]
    assert {name for name in inner if name.startswith("result")} <= targets


def contrast(first: str, second: str = "#ffffff") -> float:
    """The ratio of the lighter colour's luminance to the darker one's, as WCAG 2 has it."""

    def luminance(color: str) -> float:
        parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_lines_and_texts_have_contrast() -> None:
    assert contrast("#000000") == pytest.approx(21)
    assert min(map(contrast, COLORS)) >= 3
    style = (Path(page_of.__code__.co_filename).parent / "style.css").read_text()
    texts = dict(re.findall(r"--(ink|soft|link|good|bad|open): (#\w+);", style))
    assert len(texts) == 6
    assert min(map(contrast, texts.values())) >= 4.5
    (faint,) = re.findall(r"--faint: (#\w+);", style)
    assert contrast(texts["ink"], faint) >= 4.5


def test_whatever_files_say_is_a_text(tmp_path: Path) -> None:
    evil = "</script><script>alert('x')</script>\"'&<img src=x onerror=alert(1)>"
    folder = write_run(tmp_path / "run", architecture=f"a.{evil}", regime=evil, computed=evil, version=evil)
    config = {"model": {"class_path": evil, "init_args": {evil: [evil]}}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    theory = write_experiment(tmp_path / evil.replace("/", ""))
    verdict = json.loads((theory / "verdict.json").read_text())
    verdict |= {"experiment": evil, "command": evil, "options": {evil: evil}, "our_choices": [evil]}
    verdict["claims"][0] |= {"claim": evil, "quote": evil, "rule": evil, "paper": evil, "verdict": evil}
    (theory / "verdict.json").write_text(json.dumps(verdict))
    (theory / "data.csv").write_text(f'n,"{evil.replace(chr(34), chr(34) * 2)}"\n1,2\n')
    text = page_of([section_of(str(folder)), section_of(str(theory))])
    assert "onerror=alert(1)>" not in text
    tree = parse(text)
    assert evil in tree.facts().values()
    scripts = [each for each in tree.every("script") if each.attributes.get("type") != "application/json"]
    assert len(scripts) == 1
    assert not [each for each in tree.every() if "onerror" in each.attributes]


def test_many_points_are_drawn_as_few_and_the_extremes_stay(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", evaluations=30_000)
    text = (folder / "metrics.csv").read_text().replace("\n700000,", "\n700000,9.5,9.75,0.5,0.1,0.1,0.1\n0,", 1)
    lines = [line for line in text.splitlines() if not line.startswith("0,")]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    tree = page(folder)
    for panel in data_of(tree.one("figure"))["panels"]:
        assert all(len(line["x"]) < 2500 for line in panel["lines"])
    loss = {line["name"]: line for line in data_of(tree.one("figure"))["panels"][0]["lines"]}["validation examples"]
    assert max(loss["y"]) == 9.75
    assert loss["x"][loss["y"].index(9.75)] == 700_000
    _, *rows = tree.one("table").rows()
    assert len(rows) == 200
    assert rows[-1][0] == "1,500,000"


def test_of_many_settings_some_are_shown_and_said_to_be(tmp_path: Path) -> None:
    n = list(range(10, 710))
    times = np.full((700, 2), 50.0)
    tree = page(write_sweep(tmp_path / "s" / "study.sqlite", times, n))
    assert len(tree.one("table").rows()) == 501
    assert "The first 500 of 700 settings" in tree.text
    assert "7 of 700 settings, spread evenly over the plan." in tree.text


def test_the_command_writes_a_page_and_never_over_another(
    everything: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [str(path) for path in everything]
    for name in ("report.html", "report-2.html"):
        main(["report", *names])
        assert capsys.readouterr().out == f"report: {name}\n"
    tree = parse((tmp_path / "report.html").read_text())
    assert tree.one("h1").text == "Report on 4 results"
    kinds = [row[0] for row in tree.one("nav").one("table").rows()[1:]]
    assert kinds == ["run", "trials", "sweep", "experiment"]
    main(["report", names[0], "--output", "new/page.html"])
    assert capsys.readouterr().out == "report: new/page.html\n"
    line = complaint(["report", names[0], "--output=new/page.html"], capsys)
    assert line == "parity-lightning report: error: --output=new/page.html: is there already; name another file"


def test_what_a_path_is_not_is_told_in_a_line_before_anything_is_written(
    everything: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    good = str(everything[0])
    (tmp_path / "note.txt").write_text("hello")
    (tmp_path / "bad.parquet").write_text("hello")
    (tmp_path / "bad.sqlite").write_text("hello")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "verdict.json").write_text('{"claims": 3}')
    damaged = write_run(tmp_path / "damaged")
    (damaged / "summary.json").write_text("{")
    (tmp_path / "empty").mkdir()
    write_run(tmp_path / "many" / "one")
    store = write_sweep(tmp_path / "old.sqlite", TIMES, [10, 20])
    with closing(sqlite3.connect(store)) as database:
        database.execute("ALTER TABLE trials RENAME COLUMN hidden_progress TO movement")
    expected = {
        "old.sqlite": "cannot be read (no such column: hidden_progress); it is damaged, or of another version",
        "nothing": "no such file or folder; give the folder of a run",
        "bad.parquet": "holds something else than trials of this version",
        "bad.sqlite": "is no store of a study, or damaged",
        "broken": "verdict.json holds something else than claims",
        "damaged": "summary.json is damaged",
    }
    alone = {
        "note.txt": "is no file that can be shown; give the folder of a run",
        "empty": "holds nothing that can be shown; give the folder of a run",
        "many": "holds nothing that can be shown; give what lies in it: many/*",
    }
    for path, hint in alone.items():
        line = complaint(["report", path], capsys)
        assert line.startswith(f"parity-lightning report: error: PATH={path}: {hint}"), line
    for path, hint in expected.items():
        line = complaint(["report", good, path], capsys)
        assert line.startswith(f"parity-lightning report: error: PATH={path}: {hint}"), line
    assert "must end with .html" in complaint(["report", good, "--output=page.pdf"], capsys)
    assert "did you mean --output?" in complaint(["report", good, "--outputs=page.html"], capsys)
    assert complaint(["report", "--output=a.html"], capsys).endswith(
        "give what to show: parity-lightning report PATH ..."
    )
    assert not list(tmp_path.rglob("*.html"))


def test_what_is_of_no_known_kind_is_skipped_and_named(
    everything: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("hello")
    main(["report", "empty", str(everything[0]), "note.txt", "--output=page.html"])
    told = capsys.readouterr()
    assert told.out == "report: page.html\n"
    first, second = told.err.splitlines()
    assert first.startswith("skipped empty: holds nothing that can be shown; give the folder of a run")
    assert second.startswith("skipped note.txt: is no file that can be shown")


def test_the_folder_of_paper_is_what_lies_in_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    figure = write_experiment(tmp_path / "runs" / "figure-4-left" / "smoke", "smoke")
    paper = tmp_path / "runs" / "paper"
    for name, scale in (("4-left", "smoke"), ("fourier", None)):
        write_experiment(paper / name, scale)
    (paper / "4-left" / "verdict.json").write_bytes((figure / "verdict.json").read_bytes())
    (paper / "forest.png").write_bytes(b"")
    main(["report", "runs/paper", "--output=paper.html"])
    main(["report", "runs/figure-4-left/smoke", "runs/paper", "--output=both.html"])
    assert capsys.readouterr().err == ""
    for page in ("paper.html", "both.html"):
        text = (tmp_path / page).read_text()
        assert [
            len(re.findall(f"<h2 [^>]*>.*{title}</h2>", text))
            for title in ("Figure 4-left, smoke", "Experiment fourier")
        ] == [1, 1]
