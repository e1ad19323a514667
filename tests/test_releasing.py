"""What a release, a citation and an upgrade rely on."""

from __future__ import annotations

import re

import yaml
from conftest import ROOT

from parity_lightning import __version__
from parity_lightning.cli.renamed import CLASSES, OPTIONS


def test_what_is_cited_has_the_version_of_the_package() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == __version__
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert [each["family-names"] for each in cited["preferred-citation"]["authors"]][::5] == ["Barak", "Zhang"]


def test_every_name_that_changed_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "upgrading.md").read_text().partition("## In Python")[0]
    rows = re.findall(r"`(?:--)?([\w.]+)` \| `(?:--)?([\w.]+)` \|$", page, flags=re.MULTILINE)
    assert dict(rows) == {**OPTIONS, **CLASSES}


def test_workflows_and_issue_forms_have_what_they_need() -> None:
    folder = ROOT / ".github"
    for path in (folder / "workflows").glob("*.yaml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            assert job["timeout-minutes"] <= 60
            assert job["steps"]
    forms = list((folder / "ISSUE_TEMPLATE").glob("*.yaml"))
    assert len(forms) == 3
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= set(form)
        assert len({part["id"] for part in form["body"]}) == len(form["body"])


def test_what_the_workflows_run_is_there_and_can_be_started() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yaml"):
        for script in re.findall(r"\.ci/\w+", path.read_text()):
            assert (ROOT / script).stat().st_mode & 0o111
