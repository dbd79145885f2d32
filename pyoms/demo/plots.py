"""Plots as inline SVG, made of nothing but text: lines over time, bars, a histogram.

Called by `page`. Colours are CSS variables of the page, so that one drawing serves light and
dark. What must stay true: no script, no font and no file from elsewhere; every mark has a text
equivalent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 960
"""Width of a plot in its own units; it scales to the page."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 92, 14, 28


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, its colour variable, and its points in order of x."""

    name: str
    colour: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time that is marked: from, to, and what it was."""

    start: float
    end: float
    name: str


@dataclass(frozen=True, slots=True)
class Dots:
    """Single marks: their colour variable and places."""

    name: str
    colour: str
    xs: Sequence[float]
    ys: Sequence[float]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Give round values within `low` to `high`, about `count` of them."""
    span = high - low
    if span <= 0:
        return [low]
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if span / (step * m) <= count)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def short(value: float) -> str:
    """Write a number for an axis."""
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    if abs(value) >= 10_000:
        return f"{value / 1_000:g}k"
    return f"{value:,.10g}"


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "axis") -> str:
    words = escape(text)
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{words}</text>'


def _spread(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart so that none covers another, keeping their order."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    at = low
    for i in order:
        moved[i] = max(places[i], at)
        at = moved[i] + gap
    over = at - gap - high
    if over > 0:
        for i in reversed(order):
            moved[i] = min(moved[i], high)
            high = moved[i] - gap
    return moved


def lines(
    series: Iterable[Series],
    *,
    title: str,
    span: tuple[float, float],
    tell_x: Callable[[float], str],
    xticks: Sequence[float],
    bands: Sequence[Band] = (),
    dots: Sequence[Dots] = (),
    height: int = 260,
    zero: bool = False,
    unit: str = "",
) -> str:
    """Draw lines that hold their value until the next point, over marked stretches of time."""
    series = [s for s in series if len(s.xs)]
    low_x, high_x = span
    values = [y for s in series for x, y in zip(s.xs, s.ys, strict=True) if low_x <= x <= high_x]
    values += [y for d in dots for y in d.ys] + ([0.0] if zero else [])
    low_y, high_y = (min(values), max(values)) if values else (0.0, 1.0)
    pad = (high_y - low_y) * 0.06 or 1.0
    low_y, high_y = low_y - pad, high_y + pad
    right, bottom = WIDTH - _RIGHT, height - _BOTTOM

    def at_x(x: float) -> float:
        return _LEFT + (min(max(x, low_x), high_x) - low_x) / (high_x - low_x) * (right - _LEFT)

    def at_y(y: float) -> float:
        return bottom - (y - low_y) / (high_y - low_y) * (bottom - _TOP)

    out = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">']
    for band in bands:
        x0, x1 = at_x(band.start), at_x(band.end)
        wide = max(x1 - x0, 1.5)
        out.append(
            f'<rect x="{x0:.1f}" y="{_TOP}" width="{wide:.1f}" height="{bottom - _TOP}" '
            f'class="band"><title>{escape(band.name)}</title></rect>'
        )
        out.append(_text(x0 + 4, _TOP + 11, band.name, kind="bandname"))
    for y in ticks(low_y, high_y):
        kind = "grid zero" if zero and y == 0 else "grid"
        out.append(f'<path d="M{_LEFT} {at_y(y):.1f}H{right}" class="{kind}"/>')
        out.append(_text(_LEFT - 8, at_y(y) + 4, short(y) + unit, anchor="end"))
    out += [_text(at_x(x), bottom + 18, tell_x(x), anchor="middle") for x in xticks]
    for s in series:
        path, last_y = [], None
        for x, y in zip(s.xs, s.ys, strict=True):
            if x > high_x:
                break
            px, py = at_x(x), f"{at_y(y):.1f}"
            if last_y is None or x <= low_x:
                path = [f"M{px:.1f} {py}"]
            elif py != last_y:
                path.append(f"H{px:.1f}V{py}")
            last_y = py
        path.append(f"H{at_x(high_x):.1f}")
        out.append(f'<path d="{"".join(path)}" class="line" style="stroke:var({s.colour})"/>')
    for d in dots:
        marks = "".join(f"M{at_x(x):.1f} {at_y(y):.1f}h0" for x, y in zip(d.xs, d.ys, strict=True))
        out.append(
            f'<path d="{marks}" class="dots" style="stroke:var({d.colour})">'
            f"<title>{escape(d.name)}</title></path>"
        )
    ends = _spread([at_y(s.ys[-1]) for s in series], 14, _TOP + 6, bottom)
    for s, y in zip(series, ends, strict=True):
        words = escape(s.name)
        out.append(
            f'<text x="{right + 8}" y="{y + 4:.1f}" class="name" style="fill:var({s.colour})">'
            f"{words}</text>"
        )
    out.append("</svg>")
    return "".join(out)


def bars(rows: Sequence[tuple[str, float, str]], *, title: str, colour: str) -> str:
    """Draw horizontal bars: name, length, and what is written beside it."""
    row_height, left, wide = 26, 190, 480
    height = max(len(rows), 1) * row_height + 4
    most = max((value for _, value, _ in rows), default=1) or 1
    out = [f'<svg viewBox="0 0 {wide} {height}" role="img" aria-label="{escape(title)}">']
    for i, (name, value, words) in enumerate(rows):
        y = i * row_height + 4
        length = value / most * (wide - left - 70)
        out.append(_text(left - 10, y + 14, name, anchor="end", kind="label"))
        out.append(
            f'<rect x="{left}" y="{y + 2}" width="{max(length, 1):.1f}" height="16" rx="3" '
            f'style="fill:var({colour})"><title>{escape(f"{name}: {words}")}</title></rect>'
        )
        out.append(_text(left + length + 8, y + 14, words, kind="label"))
    out.append("</svg>")
    return "".join(out)


def histogram(
    counts: Sequence[tuple[float, float]],
    *,
    title: str,
    colour: str,
    marks: Sequence[tuple[str, float]],
    height: int = 240,
) -> str:
    """Draw counts by upper bound over a logarithmic axis, in equal steps, with named marks."""
    shown = [(x, n) for x, n in counts if x > 0 and n > 0]
    if not shown:
        return ""
    low = math.floor(math.log10(min(x for x, _ in shown)) * 10) / 10
    high = math.ceil(math.log10(max(x for x, _ in shown)) * 10) / 10 + 0.05
    steps = 64
    bins = [0.0] * steps
    for x, n in shown:
        bins[min(int((math.log10(x) - low) / (high - low) * steps), steps - 1)] += n
    right, bottom, most = WIDTH - 20, height - _BOTTOM, max(bins)
    step = (right - _LEFT) / steps

    def at_x(x: float) -> float:
        return _LEFT + (math.log10(x) - low) / (high - low) * (right - _LEFT)

    out = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">']
    for y in ticks(0, most, 4):
        py = bottom - y / most * (bottom - 34)
        out.append(f'<path d="M{_LEFT} {py:.1f}H{right}" class="grid"/>')
        out.append(_text(_LEFT - 8, py + 4, short(y), anchor="end"))
    for i, n in enumerate(bins):
        if n:
            tall = max(n / most * (bottom - 34), 1)
            out.append(
                f'<rect x="{_LEFT + i * step + 0.75:.1f}" y="{bottom - tall:.1f}" rx="1.5" '
                f'width="{step - 1.5:.1f}" height="{tall:.1f}" style="fill:var({colour})">'
                f"<title>{n:,.0f} decisions</title></rect>"
            )
    for power in range(math.ceil(low), math.floor(high) + 1):
        for times in (1, 2, 5):
            x = times * 10.0**power
            if low <= math.log10(x) <= high:
                out.append(_text(at_x(x), bottom + 18, nanoseconds(x), anchor="middle"))
    for i, (name, x) in enumerate(marks):
        if x > 0:
            px = at_x(x)
            out.append(f'<path d="M{px:.1f} {14 + i % 2 * 13}V{bottom}" class="mark"/>')
            out.append(_text(px + 4, 12 + i % 2 * 13, f"{name} {nanoseconds(x)}", kind="label"))
    out.append("</svg>")
    return "".join(out)


def nanoseconds(value: float) -> str:
    """Write a duration in the unit that keeps it short."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} ns"
