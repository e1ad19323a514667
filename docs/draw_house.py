"""Draws pictures/house.svg, the packages and who imports whom, from the imports as they stand: make house."""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "parity_lightning"
PICTURE = Path(__file__).parent / "pictures" / "house.svg"

_WIDTH, _HEIGHT, _GAP, _ROW = 116, 40, 24, 84


def imports() -> dict[str, set[str]]:
    """The packages that each package imports from, at the top of its modules or in a function."""
    packages = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    graph: dict[str, set[str]] = {name: set() for name in packages}
    for name in packages:
        for file in (PACKAGE / name).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
                parts = module.split(".")
                if parts[0] == "parity_lightning" and len(parts) > 1 and parts[1] in graph and parts[1] != name:
                    graph[name].add(parts[1])
    return graph


def storeys(graph: dict[str, set[str]]) -> dict[str, int]:
    """How high each package stands: one above the highest that it imports from."""
    found: dict[str, int] = {}

    def height(name: str) -> int:
        if name not in found:
            found[name] = 1 + max(map(height, graph[name]), default=-1)
        return found[name]

    for name in graph:
        height(name)
    return found


def direct(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The imports that do not follow from others."""

    def below(name: str) -> set[str]:
        return graph[name].union(*map(below, graph[name]))

    return [
        (name, other)
        for name, others in graph.items()
        for other in sorted(others)
        if not any(other in below(between) for between in others)
    ]


def picture() -> str:
    """The picture as SVG."""
    graph = imports()
    height = storeys(graph)
    rows = [[name for name in sorted(graph) if height[name] == level] for level in range(max(height.values()) + 1)]
    widest = max(map(len, rows))
    width, total = widest * (_WIDTH + _GAP) + _GAP, len(rows) * _ROW + _GAP
    at: dict[str, tuple[float, float]] = {}
    for level, names in enumerate(rows):
        step = width / len(names)
        for place, name in enumerate(names):
            # Every other storey is shifted, so that lines pass beside the boxes between.
            shift = (level % 2 - 0.5) * (_WIDTH + _GAP) / 2 if len(names) < widest else 0
            at[name] = (step * (place + 0.5) + shift, total - level * _ROW - _ROW / 2 - _GAP / 2)
    lines = [
        f'<path d="M{at[upper][0]:.0f} {at[upper][1] + _HEIGHT / 2:.0f} '
        f"C{at[upper][0]:.0f} {at[upper][1] + 44:.0f} {at[lower][0]:.0f} {at[lower][1] - 44:.0f} "
        f'{at[lower][0]:.0f} {at[lower][1] - _HEIGHT / 2:.0f}"/>'
        for upper, lower in direct(graph)
    ]
    boxes = [
        f'<rect x="{x - _WIDTH / 2:.0f}" y="{y - _HEIGHT / 2:.0f}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}">{escape(name)}/</text>'
        for name, (x, y) in at.items()
    ]
    told = "The packages of parity_lightning. Each imports only from those below it."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" role="img" aria-label="{told}">',
            f"<title>{told}</title>",
            "<style>path{fill:none;stroke:#8a94a6;stroke-width:1.2}rect{fill:#eef2f8;stroke:#3b5b8c}"
            "text{font:14px monospace;text-anchor:middle;fill:#14233c}</style>",
            f'<rect x="0" y="0" width="{width}" height="{total}" style="fill:#fff;stroke:none"/>',
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8", newline="\n")
