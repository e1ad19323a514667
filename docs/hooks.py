"""What mkdocs does beside building: the files that pages link to outside of docs/ come along, and a list of them.

So the pages read the same on GitHub, where these links lead into the repository.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
LIST = "configurations.md"


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages at the top of the repository, the configurations and the examples."""
    for pattern in (*PAGES, "configs/**/*.yaml", "examples/*", "CITATION.cff"):
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    files.append(File.generated(config, LIST, content=_configurations()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links as they are in the repository into those of the site."""
    if page.file.src_uri in PAGES:
        return re.sub(r"\]\(docs/", "](", markdown)
    markdown = re.sub(r"\]\(\.\./configs/[\w-]+\)", f"]({LIST})", markdown)
    return re.sub(r"\]\(\.\./(?!pictures)", "](", markdown)


def _configurations() -> str:
    lines = [
        "# Configurations",
        "",
        "Each is found by its name, from any folder: `parity-lightning fit --config NAME`.",
        "",
    ]
    lines += ["| name | what it is |", "|---|---|"]
    for path in sorted((ROOT / "configs").rglob("*.yaml"), key=lambda path: (len(path.parts), path)):
        name = path.relative_to(ROOT / "configs").as_posix()
        first = path.read_text(encoding="utf-8").partition("\n")[0].strip("# ").replace("|", r"\|").replace("*", r"\*")
        lines.append(f"| [{name}](configs/{name}) | {first} |")
    return "\n".join([*lines, ""])
