"""Plots as SVG: bars, lines and a pyramid. Sizes are in units of the picture, 760 wide."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from ecw_pipeline.report.plots import Kind, Plot, Rows, Unit

WIDTH = 760
_LABELS = 200  # room for the names at the left of bars
_ROW = 24
_HEIGHT = 260
_EDGE = 100  # room for the axis at the left of lines: `123,456.7 h`
# Colours that people who see few colours tell apart; after the last, lines are dashed.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7a7a")


def draw(plot: Plot, rows: Rows) -> str:
    """The picture of a plot."""
    return _DRAWERS[plot.kind](plot, rows)


def in_words(value: object, unit: Unit) -> str:
    """A value as people read it: ``12,345``, ``34.5 %``, ``7.5 h``."""
    if value is None:
        return ""
    number = float(value)  # type: ignore[arg-type]
    if unit == "share":
        return f"{number:.1%}".replace("%", " %")
    if unit == "hours":
        return f"{number:,.1f} h"
    return f"{number:,.0f}"


def _bars(plot: Plot, rows: Rows) -> str:
    numbers = [_number(row[1]) for row in rows]
    widest = 1.0 if plot.unit == "share" else max(numbers) or 1.0
    room = WIDTH - _LABELS - 90
    parts = []
    for place, (row, number) in enumerate(zip(rows, numbers, strict=True)):
        y = place * _ROW
        width = max(number, 0.0) / widest * room
        parts += [
            _text(_LABELS - 8, y + 16, _short(row[0]), anchor="end"),
            f'<rect x="{_LABELS}" y="{y + 4}" width="{width:.1f}" height="{_ROW - 8}"'
            f' fill="{_COLOURS[0]}"/>',
            _text(_LABELS + width + 6, y + 16, in_words(row[1], plot.unit)),
        ]
    return _svg(plot.title, len(rows) * _ROW + 4, parts)


def _pyramid(plot: Plot, rows: Rows) -> str:
    widest = max((_number(value) for row in rows for value in row[1:]), default=0.0) or 1.0
    middle, half = WIDTH / 2, WIDTH / 2 - 110
    parts = [
        _text(middle - 60, 14, plot.heads[1], anchor="end"),
        _text(middle + 60, 14, plot.heads[2]),
    ]
    for place, (label, left, right) in enumerate(rows, start=1):
        y = place * _ROW
        parts.append(_text(middle, y + 16, _short(label), anchor="middle"))
        for number, colour, side in ((left, _COLOURS[1], -1), (right, _COLOURS[0], 1)):
            width = _number(number) / widest * half
            start = middle + side * 50
            x = start - width if side < 0 else start
            parts += [
                f'<rect x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="{_ROW - 8}"'
                f' fill="{colour}"/>',
                _text(
                    start + side * (width + 6),
                    y + 16,
                    in_words(number or 0, plot.unit),
                    anchor="end" if side < 0 else "start",
                ),
            ]
    return _svg(plot.title, (len(rows) + 1) * _ROW + 4, parts)


def _lines(plot: Plot, rows: Rows) -> str:
    labels = list(dict.fromkeys(str(row[0]) for row in rows))
    series: dict[str, dict[str, float]] = {}
    for label, name, value in rows:
        if value is not None:
            series.setdefault(str(name), {})[str(label)] = _number(value)
    top = 1.0 if plot.unit == "share" else max(v for line in series.values() for v in line.values())
    step = (WIDTH - _EDGE - 36) / max(len(labels) - 1, 1)
    x_of = {label: _EDGE + number * step for number, label in enumerate(labels)}

    def y_of(value: float) -> float:
        return 10 + (_HEIGHT - 20) * (1 - value / (top or 1.0))

    parts = list(_grid(plot.unit, top, y_of))
    for number, (name, line) in enumerate(sorted(series.items())):
        parts += _line(number, name, line, x_of, y_of, plot.unit)
    every = max(1, len(labels) // 8)
    for label in labels[::every]:
        parts.append(_text(x_of[label], _HEIGHT + 14, label, anchor="middle"))
    height = _HEIGHT + 28 + _ROW * -(-len(series) // 3)
    return _svg(plot.title, height, parts)


def _grid(unit: Unit, top: float, y_of: Callable[[float], float]) -> Iterable[str]:
    for part in (0.0, 0.5, 1.0):
        y = y_of(top * part)
        yield f'<line x1="{_EDGE}" x2="{WIDTH - 36}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
        yield _text(_EDGE - 6, y + 4, in_words(top * part, unit), anchor="end")


def _line(
    number: int,
    name: str,
    line: Mapping[str, float],
    x_of: Mapping[str, float],
    y_of: Callable[[float], float],
    unit: Unit,
) -> list[str]:
    """One series, with its name below the plot."""
    colour = _COLOURS[number % len(_COLOURS)]
    dashes = ' stroke-dasharray="6 4"' if number >= len(_COLOURS) else ""
    points = [(x_of[label], y_of(value), label, value) for label, value in sorted(line.items())]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>'
        f"{escape(name)}, {escape(label)}: {in_words(value, unit)}</title></circle>"
        for x, y, label, value in points
    ]
    x, y = _EDGE + (number % 3) * 230, _HEIGHT + 34 + (number // 3) * _ROW
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>',
        *dots,
        f'<line x1="{x}" x2="{x + 22}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}"'
        f' stroke-width="3"{dashes}/>',
        _text(x + 28, y, _short(name)),
    ]


_DRAWERS: Mapping[Kind, Callable[[Plot, Rows], str]] = {
    "bars": _bars,
    "lines": _lines,
    "pyramid": _pyramid,
}


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(label: object) -> str:
    words = "unknown" if label is None else str(label)
    return words if len(words) <= 25 else words[:24] + "…"


def _number(value: Any) -> float:
    return float(value or 0)
