"""The report as one HTML file that needs nothing else: plots are inline SVG, styles are inline.

Called by `pyoms demo --html`. What must stay true: every text from data is escaped, and the page
reads well in light and dark, on paper and without colours.
"""

from __future__ import annotations

import itertools
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from pyoms.demo import plots
from pyoms.demo.proof import Array, Found
from pyoms.demo.report import Summary, clock
from pyoms.demo.session import Session
from pyoms_core.layout import ONE

_COLOURS = ("--c1", "--c2", "--c3", "--c4", "--c5")
_SECOND_NS = 1_000_000_000

_STYLE = """
:root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--ink:#1b1d21;--soft:#666b73;--edge:#e4e4e1;
--band:#8883;--c1:#2a6fdb;--c2:#d9622b;--c3:#168a68;--c4:#8250c4;--c5:#c2386f;--good:#13794f;
--bad:#c22828}
@media(prefers-color-scheme:dark){:root{--bg:#15171a;--card:#1d2024;--ink:#e8e9eb;--soft:#9aa0a9;
--edge:#33373d;--band:#9995;--c1:#6aa2ff;--c2:#ff9460;--c3:#4cc9a0;--c4:#b48cf2;--c5:#f27ba8;
--good:#4cc98f;--bad:#ff7b72}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1060px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:26px;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:16px;margin:0 0 2px}
p{margin:4px 0 12px;color:var(--soft);max-width:78ch}
.card{background:var(--card);border:1px solid var(--edge);border-radius:10px;padding:18px 20px;
margin-top:16px;overflow-x:auto}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:12px;margin-top:20px}
.tile{background:var(--card);border:1px solid var(--edge);border-radius:10px;padding:12px 14px}
.tile b{display:block;font-size:21px;font-weight:600;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:13px}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:16px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--edge);vertical-align:top}
th{color:var(--soft);font-weight:500;font-size:13px}
th:first-child,td:first-child{text-align:left;padding-left:0}
td.words,th.words{text-align:left}
tr:last-child td{border-bottom:0}
.ok{color:var(--good);font-weight:600}.no{color:var(--bad);font-weight:700}
.badge{display:inline-block;border-radius:99px;padding:2px 12px;font-weight:600;font-size:14px;
border:1px solid currentColor}
svg{display:block;width:100%;height:auto;margin-top:6px}
svg text{font:12px system-ui,sans-serif;fill:var(--soft)}
svg .name{font-weight:600}svg .label{fill:var(--ink)}
svg .bandname{font-size:11px}
.grid{stroke:var(--edge);stroke-width:1;fill:none}.zero{stroke:var(--soft)}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.dots{fill:none;stroke-width:3.4;stroke-linecap:round;stroke-opacity:.55}
.mark{stroke:var(--ink);stroke-width:1;stroke-dasharray:3 3;fill:none}
.band{fill:var(--band)}
pre{font:12.5px/1.45 ui-monospace,monospace;overflow-x:auto;margin:8px 0 0}
code{font:13px ui-monospace,monospace}
"""


def card(title: str, body: str, words: str = "") -> str:
    """One part of the page."""
    told = f"<p>{escape(words)}</p>" if words else ""
    return f'<section class="card"><h2>{escape(title)}</h2>{told}{body}</section>'


def table(heads: list[str], rows: list[list[str]], words_from: int = 99) -> str:
    """Make a table; columns from `words_from` on are text."""

    def cells(row: list[str], tag: str) -> str:
        made = []
        for i, cell in enumerate(row):
            kind = ' class="words"' if i >= words_from else ""
            made.append(f"<{tag}{kind}>{escape(cell)}</{tag}>")
        return "".join(made)

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><tr>{cells(heads, 'th')}</tr>{body}</table>"


def render(session: Session, found: Found, summary: Summary) -> str:
    """Write the page."""
    figures, plan = found.figures, session.plan
    title = f"pyoms demo: {plan.source}"
    good = not found.proof.failed
    badge = (
        f'<span class="badge {"ok" if good else "no"}">'
        f"{'every proof holds' if good else escape('NOT proved: ' + ', '.join(found.proof.failed))}"
        "</span>"
    )
    parts = [
        (
            f"<h1>One session in a box</h1><p>{escape(plan.source)}, seed {plan.seed}, "
            f"{clock(plan.start_ns)} to {clock(plan.end_ns)} UTC in virtual time; tier "
            f"{escape(figures['tier'])}: survives kill -9, not power loss.</p>{badge}"
        ),
        tiles(figures, summary),
        card("Proof", proof_table(found)),
        card("The day", table(["UTC", "what"], [list(row) for row in summary.drills], 1)),
        *time_plots(session, summary),
        '<div class="pair">'
        + card("Orders by end state", bars(summary.end_states, "--c1"))
        + card("Refused commands by reason", bars(list(figures["rejected"].items()), "--c2"))
        + "</div>",
        latency_card(session, figures),
        card(
            "Positions and PnL by account",
            table(
                [
                    "account",
                    "net",
                    "bought",
                    "sold",
                    "realised",
                    "unrealised",
                    "fees",
                    "total, USD",
                ],
                [
                    [
                        a.name,
                        *(f"{n:,}" for n in (a.net, a.bought, a.sold)),
                        *(f"{n:,.2f}" for n in (a.realised, a.unrealised, a.fees, a.total)),
                    ]
                    for a in summary.accounts
                ],
            ),
            "Lots at the end; average cost; unrealised at the last mid price.",
        ),
        card(
            "How our fills use up recorded volume",
            table(["what", "lots", ""], [list(row) for row in summary.volume], 2)
            + f"<p style='margin-top:12px'>{escape(session.fill_model)}</p>",
        ),
    ]
    if summary.spread_table:
        parts.append(
            card(
                "The synthetic day beside the recording",
                f"<pre>{escape(summary.spread_table)}</pre>",
                "No recording was found or asked for: this day is made from the seed.",
            )
        )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def tiles(figures: dict[str, Any], summary: Summary) -> str:
    """Show the figures that people ask for first."""
    rows = [
        (f"{figures['commands']:,}", "commands"),
        (f"{figures['accepted']:,}", "accepted"),
        (f"{sum(figures['rejected'].values()):,}", "refused"),
        (f"{figures['fills']:,}", "fills"),
        (f"{figures['events']:,}", "events"),
        (f"{summary.events_per_s:,.0f}", "events a second, whole run"),
        (plots.nanoseconds(float(figures["decide_p50_ns"])), "decision p50"),
        (plots.nanoseconds(float(figures["decide_p99_ns"])), "decision p99"),
        (f"{figures['sent_after_ack']}", "sent after the kill"),
        (f"{figures['duplicate_sends']}", "sent twice"),
    ]
    made = "".join(f'<div class="tile"><b>{escape(n)}</b><span>{w}</span></div>' for n, w in rows)
    return f'<div class="tiles">{made}</div>'


def proof_table(found: Found) -> str:
    """Show the proof lines."""
    rows = "".join(
        f'<tr><td class="{"ok" if holds else "no"}">{"holds" if holds else "FAILS"}</td>'
        f'<td class="words">{escape(name)}</td><td class="words">{escape(what)}</td></tr>'
        for name, holds, what in found.proof.lines
    )
    return f"<table>{rows}</table>"


def bars(rows: list[tuple[str, int]], colour: str) -> str:
    """Draw counts by name."""
    named = [(name.replace("_", " "), float(count), f"{count:,}") for name, count in rows]
    return plots.bars(named, title="counts", colour=colour)


def bands_of(session: Session) -> list[plots.Band]:
    """Give the stretches of the day that stand out."""
    told, plan = session.told, session.plan
    dead_ns = told.up[-1]["now_ns"] - plan.outage_s * _SECOND_NS
    return [
        plots.Band(plan.start_ns, plan.open_ns, "pre-open"),
        plots.Band(told.held["now_ns"], told.up[1]["now_ns"], "killed"),
        plots.Band(dead_ns, told.up[-1]["now_ns"], "desk dead"),
    ]


def time_plots(session: Session, summary: Summary) -> list[str]:
    """Market and fills, positions, PnL and events over virtual time."""
    plan, quotes, fills = session.plan, summary.quotes, summary.fills
    span = (float(plan.open_ns - 600 * _SECOND_NS), float(plan.end_ns))
    every = 600 * _SECOND_NS
    first = -(-int(span[0]) // every) * every
    xticks = list(range(first, int(span[1]), every))
    common: dict[str, Any] = {
        "span": span,
        "tell_x": lambda x: clock(int(x))[:5],
        "xticks": xticks,
        "bands": bands_of(session),
    }
    sound = quotes[(quotes["bid_px"] < quotes["ask_px"]) & (quotes["at_ns"] >= span[0])]
    mids = (sound["bid_px"] / ONE + sound["ask_px"] / ONE) / 2
    times = sound["at_ns"].astype(float)
    mid = plots.Series("mid", "--soft", times.tolist(), mids.tolist())
    sides = []
    for name, colour, mine in (
        ("bought", "--c3", fills.lots > 0),
        ("sold", "--c5", fills.lots < 0),
    ):
        sides.append(
            plots.Dots(name, colour, fills.at_ns[mine].tolist(), fills.price[mine].tolist())
        )
    ids = [i for i in summary.names if (fills.account_id == i).any()]
    positions, results = [], []
    for account_id, colour in zip(ids, itertools.cycle(_COLOURS), strict=False):
        xs, net, pnl = curves(summary, account_id, times, mids)
        positions.append(plots.Series(summary.names[account_id], colour, xs, net))
        results.append(plots.Series(summary.names[account_id], colour, xs, pnl))
    minutes = np.arange(span[0], span[1], 60e9)
    counts, _ = np.histogram(summary.event_times, bins=np.append(minutes, minutes[-1] + 60e9))
    rate = plots.Series("events/s", "--c1", minutes.tolist(), (counts / 60).tolist())
    words = "Green: bought, red: sold, each at its price. Shaded: nothing new was sent."
    return [
        card(
            "The market, and our fills in it",
            plots.lines([mid], title="mid price and fills", dots=sides, height=320, **common),
            words,
        ),
        card(
            "Position by account, lots",
            plots.lines(positions, title="positions", zero=True, **common),
        ),
        card(
            "PnL by account after fees, USD",
            plots.lines(results, title="profit and loss", zero=True, **common),
            "Cash of all fills and the position at the mid price, less fees.",
        ),
        card(
            "Events a second, by minute of virtual time",
            plots.lines([rate], title="events a second", zero=True, height=200, **common),
        ),
    ]


def curves(
    summary: Summary, account_id: int, times: Array, mids: Array
) -> tuple[list[float], list[float], list[float]]:
    """Position and PnL of one account at its fills and at every eighth sample of the market."""
    fills = summary.fills
    mine = fills.account_id == account_id
    at, lots, px, fee = (
        column[mine] for column in (fills.at_ns, fills.lots, fills.price, fills.fee)
    )
    net, cash, fees = np.cumsum(lots), np.cumsum(-lots * px), np.cumsum(fee)
    grid = np.unique(np.concatenate([at.astype(float), times[::8]]))
    i = np.searchsorted(at, grid, side="right") - 1
    before = i < 0
    i = np.maximum(i, 0)
    m = mids[np.maximum(np.searchsorted(times, grid, side="right") - 1, 0)] if len(mids) else px[i]
    position = np.where(before, 0, net[i])
    worth = np.where(before, 0.0, (cash[i] + net[i] * m) * 50 - fees[i])
    return grid.tolist(), position.tolist(), worth.tolist()


def latency_card(session: Session, figures: dict[str, Any]) -> str:
    """Draw the histogram of decisions over all lives of the desk."""
    counts: dict[int, int] = {}
    for life in session.told.decide:
        for upper_ns, count in life.get("histogram", []):
            counts[upper_ns] = counts.get(upper_ns, 0) + count
    names = (("p50", "decide_p50_ns"), ("p99", "decide_p99_ns"), ("p99.9", "decide_p999_ns"))
    marks = [(name, float(figures[key])) for name, key in names]
    drawn = plots.histogram(
        [(float(x), float(n)) for x, n in sorted(counts.items())],
        title="decision latency",
        colour="--c1",
        marks=marks,
    )
    words = (
        f"{figures['decide_n']:,} commands: decide, append and fold, in the desk's process; "
        f"longest {plots.nanoseconds(float(figures['decide_max_ns']))}. "
        "Measured on whatever machine ran this, beside the venue's process, unpinned, cold in "
        "between; `pyoms bench` is the place for latency."
    )
    return card(f"Decision latency, tier {figures['tier']}", drawn, words)


def write(session: Session, found: Found, summary: Summary, path: Path) -> None:
    """Write the page to `path`."""
    path.write_text(render(session, found, summary))
