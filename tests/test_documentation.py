"""What the documentation site is made of; `make docs` shows that it builds without a warning, as of a broken link."""

from __future__ import annotations

import importlib
import pkgutil
import re
import runpy
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

DOCS = ROOT / "docs"


def test_every_page_is_in_the_navigation() -> None:
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    listed = set(re.findall(r"- ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE))
    listed |= set(re.findall(r": ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE))
    assert listed - {"SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "configurations.md"} == pages


@pytest.mark.parametrize("page", sorted((DOCS / "reference").glob("*.md")), ids=lambda page: page.stem)
def test_what_the_reference_documents_is_there(page: Path) -> None:
    names = re.findall(r"^::: ([\w.]+)$", page.read_text(), flags=re.MULTILINE)
    assert names
    for name in names:
        assert pkgutil.resolve_name(name).__doc__


def test_everything_public_is_in_the_reference() -> None:
    public = importlib.import_module("parity_lightning").__all__
    text = "".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    assert not [name for name in public if not re.search(rf"\.{name}$", text, flags=re.MULTILINE) and name[0] != "_"]


def test_the_picture_of_the_house_is_that_of_the_imports() -> None:
    drawn = runpy.run_path(str(DOCS / "draw_house.py"))["picture"]()
    assert (DOCS / "pictures" / "house.svg").read_text(encoding="utf-8") == drawn, "make house draws it again"


def test_the_picture_of_the_house_has_each_package_above_those_it_imports() -> None:
    house = runpy.run_path(str(DOCS / "draw_house.py"))
    graph = house["imports"]()
    height = house["storeys"](graph)
    assert height["cli"] > height["callbacks"] > height["modules"] > height["engine"] > height["data"] == 0
    assert all(height[name] > height[other] for name, others in graph.items() for other in others)
    assert {"studies", "modules"} <= graph["cli"]
    assert ("cli", "studies") not in house["direct"](graph)


def test_the_site_loads_nothing_from_elsewhere() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert settings["strict"] is True
    assert settings["theme"]["font"] is False
    (script,) = settings["extra"]["polyfills"]
    # The plugin adds its own, from elsewhere, unless one has this name.
    assert "iframe-worker" in script
    assert (DOCS / script).is_file()
