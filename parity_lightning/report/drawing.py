"""A figure as inline SVG: seen without a script, and with the values for the script that tells and zooms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count

from parity_lightning.display.style import GRAY
from parity_lightning.report.figures import Figure, Line, Panel, Rule
from parity_lightning.report.markup import Markup, joined, tag
from parity_lightning.report.scale import Scale, scale_of, tick_label

WIDTH = 760
_LEFT, _RIGHT, _TOP, _TICKS, _LABEL = 72, 14, 8, 20, 20


class Drawing:
    """Draws figures of one page.

    Ids of elements are unique among all that it draws.
    """

    def __init__(self) -> None:
        self._ids = count(1)

    def draw(self, figure: Figure) -> Markup:
        """A figure as an element."""
        shown = [[line.shown(figure.log_x, panel.log_y) for line in panel.lines] for panel in figure.panels]
        places = [x for lines in shown for line in lines for x in line.x]
        marks = [rule.at for panel in figure.panels for rule in panel.rules if rule.is_vertical]
        margin = 0.04 if figure.log_x or any(line.shape == "points" for lines in shown for line in lines) else 0.01
        x_scale = scale_of([*places, *marks, *figure.least], _LEFT, WIDTH - _RIGHT, figure.log_x, margin)
        panels = [
            self._panel(figure, panel, lines, x_scale, is_last=panel is figure.panels[-1])
            for panel, lines in zip(figure.panels, shown, strict=True)
        ]
        data = {
            "x": {**x_scale._asdict(), "label": figure.label, "ticks": list(figure.ticks)},
            "panels": [[_values(line) for line in lines if line.name and line.y] for lines in shown],
        }
        return tag(
            "figure",
            tag("figcaption", figure.title),
            *panels,
            tag("script", Markup(json.dumps(data, allow_nan=False).replace("<", "\\u003c")), type="application/json"),
            class_="chart",
        )

    def _panel(self, figure: Figure, panel: Panel, lines: Sequence[Line], x_scale: Scale, *, is_last: bool) -> Markup:
        bottom = panel.height - (_TICKS + _LABEL if is_last else _TICKS)
        values = [y for line in lines for part in (line.y, line.low, line.high) for y in part]
        levels = [rule.at for rule in panel.rules if not rule.is_vertical]
        y_scale = scale_of([*values, *levels, *panel.least], bottom, _TOP, panel.log_y, 0.05)
        number = next(self._ids)
        clip, name, about = f"clip{number}", f"title{number}", f"about{number}"
        drawn = [part for line in lines for part in _drawn(line, x_scale, y_scale)]
        picture = tag(
            "svg",
            tag("title", f"{panel.title}: {panel.label} against {figure.label}", id=name),
            tag("desc", describe(lines, panel.rules, figure.label), id=about),
            tag("clipPath", _box(bottom), id=clip),
            *_y_axis(panel, y_scale, bottom),
            *_x_axis(figure, x_scale, bottom, panel.height, is_last=is_last),
            *(_level(rule, y_scale) for rule in panel.rules if not rule.is_vertical),
            tag(
                "g",
                tag(
                    "g",
                    *(_mark(rule, x_scale, bottom) for rule in panel.rules if rule.is_vertical),
                    *drawn,
                    class_="zoomed",
                ),
                clip_path=f"url(#{clip})",
            ),
            viewBox=f"0 0 {WIDTH} {panel.height}",
            role="img",
            aria_labelledby=name,
            aria_describedby=about,
            data_bottom=bottom,
            data_top=_TOP,
        )
        return joined(tag("h4", panel.title), _legend(lines, panel.rules), picture)


def describe(lines: Sequence[Line], rules: Sequence[Rule], label: str) -> str:
    """A panel in words, for those who do not see it.

    Example:
        >>> line = Line("validation loss", [50, 100, 150], [1.0, 0.9, 0.01], "#000000")
        >>> describe([line], [Rule(150, "solved: step 150")], "SGD steps")
        'validation loss: 1 at 50 SGD steps, lowest 0.01 and highest 1, 0.01 at 150 SGD steps. solved: step 150.'
    """
    words = []
    for line in lines:
        if line.name and line.y:
            first, low, high, last = (tick_label(float(f"{y:.4g}")) for y in _ends(line.y))
            middle = f", lowest {low} and highest {high}" if len(line.y) > 1 else ""
            end = f", {last} at {tick_label(line.x[-1])} {label}" if len(line.y) > 1 else ""
            words.append(f"{line.name}: {first} at {tick_label(line.x[0])} {label}{middle}{end}.")
    words += [f"{rule.name}." for rule in rules if rule.name]
    return " ".join(words) or "Nothing was measured."


def _ends(y: Sequence[float]) -> tuple[float, float, float, float]:
    return y[0], min(y), max(y), y[-1]


def _values(line: Line) -> dict[str, object]:
    values: dict[str, object] = {
        "name": line.name,
        "x": [_short(x) for x in line.x],
        "y": [_short(y) for y in line.y],
        "step": line.shape in ("step", "filled"),
    }
    return values | ({"notes": list(line.notes)} if line.notes else {})


def _short(value: float) -> float:
    number = float(f"{value:.6g}") if abs(value) < 100_000 else float(value)
    return int(number) if number.is_integer() else number


def _place(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _drawn(line: Line, x_scale: Scale, y_scale: Scale) -> Iterator[Markup]:
    x = [x_scale.at(value) for value in line.x]
    y = [y_scale.at(value) for value in line.y]
    if not x:
        return
    style: dict[str, str | float] = {"stroke": line.color, "stroke_width": line.width}
    if line.low and line.shape == "points":
        bars = zip(x, line.low, line.high, strict=True)
        path = "".join(f"M{_place(at)},{_limited(low, y_scale)}V{_limited(high, y_scale)}" for at, low, high in bars)
        yield tag("path", d=path, class_="line", **style)
    elif line.low:
        ends = [[float(_limited(value, y_scale)) for value in part] for part in (line.low, line.high)]
        is_step = line.shape == "step"
        there, back = _path(x, ends[0], is_step=is_step), _path(x[::-1], ends[1][::-1], is_step=is_step, back=True)
        yield tag("path", d=f"{there}L{back[1:]}Z", fill=line.color, class_="band")
    if line.shape == "triangles":
        path = "".join(f"M{_place(at)},{_place(up - 5)}l5,9h-10Z" for at, up in zip(x, y, strict=True))
        yield tag("path", d=path, class_="line", **style)
    elif line.shape == "points" or len(x) == 1:
        # A line of no length with round ends stays round when the axis is stretched.
        path = "".join(f"M{_place(at)},{_place(up)}h0" for at, up in zip(x, y, strict=True))
        yield tag("path", d=path, class_="line dots", stroke=line.color, stroke_width=8)
    else:
        path = _path(x, y, is_step=line.shape in ("step", "filled"))
        if line.shape == "filled":
            floor = _place(y_scale.at(0))
            yield tag("path", d=f"{path}V{floor}H{_place(x[0])}Z", fill=line.color, class_="filled")
        yield tag("path", d=path, class_="line", stroke_dasharray=line.dash or None, **style)


def _path(x: Sequence[float], y: Sequence[float], *, is_step: bool, back: bool = False) -> str:
    points = [(_place(at), _place(up)) for at, up in zip(x, y, strict=True)]
    path = f"M{points[0][0]},{points[0][1]}"
    for at, up in points[1:]:
        path += (f"V{up}H{at}" if back else f"H{at}V{up}") if is_step else f"L{at},{up}"
    return path


def _limited(value: float, scale: Scale) -> str:
    """The place of an end of an interval, which may lie beyond the axis or have no place on it."""
    lowest, highest = sorted((scale.start, scale.end))
    place = scale.at(value) if scale.shows(value) else (lowest if value > 0 else highest)
    return _place(min(max(place, lowest), highest))


def _box(bottom: int) -> Markup:
    return tag("rect", x=_LEFT, y=0, width=WIDTH - _LEFT - _RIGHT, height=bottom)


def _y_axis(panel: Panel, scale: Scale, bottom: int) -> Iterator[Markup]:
    for value in scale.ticks(5):
        place = _place(scale.at(value))
        yield tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=place, y2=place, class_="grid")
        yield tag("text", tick_label(value), x=_LEFT - 8, y=place, dy="0.32em", text_anchor="end")
    middle = (_TOP + bottom) / 2
    yield tag(
        "text",
        panel.label,
        x=0,
        y=0,
        transform=f"translate(13 {middle}) rotate(-90)",
        text_anchor="middle",
        class_="label",
    )


def _x_axis(figure: Figure, scale: Scale, bottom: int, height: int, *, is_last: bool) -> Iterator[Markup]:
    yield tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="axis")
    ticks = []
    for value in figure.ticks or scale.ticks(8):
        place = _place(scale.at(value))
        ticks.append(tag("line", x1=place, x2=place, y1=bottom, y2=bottom + 4, class_="axis"))
        ticks.append(tag("text", tick_label(value), x=place, y=bottom + 17, text_anchor="middle"))
    yield tag("g", *ticks, class_="xticks")
    if is_last:
        middle = (_LEFT + WIDTH - _RIGHT) // 2
        yield tag("text", figure.label, x=middle, y=height - 4, text_anchor="middle", class_="label")


def _mark(rule: Rule, scale: Scale, bottom: int) -> Markup:
    place = _place(scale.at(rule.at))
    return tag("path", d=f"M{place},{_TOP}V{bottom}", class_="mark", stroke_dasharray=rule.dash or None)


def _level(rule: Rule, scale: Scale) -> Markup:
    place = _place(scale.at(rule.at))
    return tag("path", d=f"M{_LEFT},{place}H{WIDTH - _RIGHT}", class_="mark", stroke_dasharray=rule.dash or None)


def _legend(lines: Sequence[Line], rules: Sequence[Rule]) -> Markup | None:
    keys = [tag("li", _key(line), line.name) for line in lines if line.name and line.y]
    for rule in rules:
        if rule.name:
            shape = Line("", [], [], GRAY, rule.dash, 1.5)
            keys.append(tag("li", _key(shape, is_vertical=rule.is_vertical), rule.name))
    return tag("ul", *keys, class_="legend") if keys else None


def _key(line: Line, *, is_vertical: bool = False) -> Markup:
    style: dict[str, str | float] = {"stroke": line.color, "stroke_width": line.width}
    if line.shape == "points":
        drawn = tag("path", d="M13,6h0", class_="line dots", stroke=line.color, stroke_width=8)
    elif line.shape == "triangles":
        drawn = tag("path", d="M13,1l5,9h-10Z", class_="line", **style)
    else:
        path = "M13,0V12" if is_vertical else "M0,6H26"
        drawn = tag("path", d=path, class_="line", stroke_dasharray=line.dash or None, **style)
    filled = tag("rect", width=26, height=12, fill=line.color, class_="filled") if line.shape == "filled" else None
    return tag("svg", filled, drawn, viewBox="0 0 26 12", aria_hidden="true", class_="key")
