"""What a finished session looks like in numbers, and the report in the terminal.

Called by `pyoms demo`; `page` draws the same numbers as HTML. What must stay true: every figure
comes from the log, the venue's record or the processes' own measurements; none is worked out twice.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pyoms.demo.desk import QUOTE
from pyoms.demo.plots import nanoseconds
from pyoms.demo.proof import Array, Found, booked_fills
from pyoms.demo.session import Session
from pyoms_core.layout import CODES, ONE

if TYPE_CHECKING:
    from rich.console import Console

_BUY = CODES["side"]["buy"].code
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One account at the end: lots, and money in desk currency."""

    name: str
    net: int
    bought: int
    sold: int
    realised: float
    unrealised: float
    fees: float

    @property
    def total(self) -> float:
        """Profit or loss after fees."""
        return self.realised + self.unrealised - self.fees


@dataclass(frozen=True, slots=True, kw_only=True)
class Fills:
    """The booked fills in order, as columns: virtual time, account, signed lots, price."""

    at_ns: Array
    account_id: Array
    lots: Array
    price: Array
    fee: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of a session."""

    figures: dict[str, Any]
    names: dict[int, str]
    end_states: list[tuple[str, int]]
    accounts: list[AccountRow]
    fills: Fills
    quotes: Array
    volume: list[tuple[str, str, str]]
    drills: list[tuple[str, str]]
    events_per_s: float
    busiest_s: int
    event_times: Array
    spread_table: str


def clock(at_ns: int) -> str:
    """Virtual time of day, UTC."""
    return dt.datetime.fromtimestamp(at_ns / 1e9, dt.UTC).strftime("%H:%M:%S")


def fills_of(found: Found) -> Fills:
    """Take the fills out of the log, in order."""
    accepted, fills = found.events.of("order_accepted"), booked_fills(found.events)
    orders = accepted[np.searchsorted(accepted["order_seq"], fills["order_seq"])]
    sign = np.where(orders["side"] == _BUY, 1, -1)
    return Fills(
        at_ns=fills["transact_time_ns"].copy(),
        account_id=orders["account_id"].copy(),
        lots=sign * (fills["last_qty"] // ONE),
        price=fills["last_px"] / ONE,
        fee=fills["fee"] / ONE,
    )


def summarise(session: Session, found: Found) -> Summary:
    """Work out what the reports show."""
    quotes = np.fromfile(
        session.desk / "demo/quotes.bin",
        dtype=np.dtype([("at_ns", "<i8"), ("bid_px", "<i8"), ("ask_px", "<i8")]),
    )
    assert quotes.dtype.itemsize == QUOTE.size  # noqa: S101  written by the desk's process
    mark = (int(quotes["bid_px"][-1]) + int(quotes["ask_px"][-1])) // 2 if len(quotes) else 0
    definitions = found.replay.definitions()
    names = {row["id"]: row["name"] for row in definitions if row["entity"] == "account"}
    accounts = []
    for row in found.positions:
        to_money = row["contract_multiplier"] / ONE / 1e18
        net = row["net_qty"]
        if row["bought_qty"] or row["sold_qty"]:
            accounts.append(
                AccountRow(
                    name=names[row["account_id"]],
                    net=net // ONE,
                    bought=row["bought_qty"] // ONE,
                    sold=row["sold_qty"] // ONE,
                    realised=row["realised_points"] * to_money,
                    unrealised=(net * mark - row["open_points"]) * to_money,
                    fees=row["fees"] / ONE,
                )
            )
    states = Counter(row["ord_status"] for row in found.orders if not row["is_parent"])
    states["parent orders"] = sum(row["is_parent"] for row in found.orders)
    times = found.events.all["ingest_time_ns"].copy()
    seconds = (times[times >= session.plan.open_ns] - session.plan.open_ns) // _SECOND_NS
    busiest = int(np.bincount(seconds).max()) if len(seconds) else 0
    return Summary(
        figures=found.figures,
        names=names,
        end_states=[
            (name.replace("_", " "), count) for name, count in states.most_common() if count
        ],
        accounts=accounts,
        fills=fills_of(found),
        quotes=quotes,
        volume=volume_rows(session),
        drills=drill_rows(session, found),
        events_per_s=len(times) / max(session.told.wall_s, 1e-9),
        busiest_s=busiest,
        event_times=times,
        spread_table=compared(session),
    )


def volume_rows(session: Session) -> list[tuple[str, str, str]]:
    """How our fills used up recorded volume: what, lots, words."""
    counters, sample = session.told.witness["counters"], session.sample
    tape = counters["tape_volume"] // ONE
    passive, taken = counters["passive_volume"] // ONE, counters["taken_volume"] // ONE
    share = 100 * passive / tape if tape else 0.0
    return [
        ("recorded volume replayed", f"{tape:,}", f"{counters['tape_trades']:,} trades"),
        ("given to our resting orders", f"{passive:,}", f"{share:.1f} % of it, each contract once"),
        ("taken by our aggressive orders", f"{taken:,}", "from recorded resting orders, each once"),
        (
            "filled for the sampled orders in the recording",
            f"{sample['contracts']:,}",
            f"{sample['fills']:,} fills that had to find other takers here",
        ),
    ]


def drill_rows(session: Session, found: Found) -> list[tuple[str, str]]:
    """Tell the story of the day, in order: when, and what."""
    told, plan, figures = session.told, session.plan, found.figures
    kill, dead_ns = told.kill, told.up[-1]["now_ns"] - plan.outage_s * _SECOND_NS
    return [
        (clock(plan.start_ns), f"pre-open: {plan.source}"),
        (
            clock(plan.open_ns),
            "opening; until here the book was locked or crossed at times: refused",
        ),
        (
            clock(told.held["now_ns"]),
            (
                f"kill switch engaged by another process while {told.held['waiting']} messages "
                f"waited; acknowledged after {kill['ack_us']} us, {told.held['live_orders']} live "
                "orders canceled"
            ),
        ),
        (clock(told.flat["now_ns"]), "zero open, confirmed by the venue; the desk is restarted"),
        (
            clock(told.up[1]["now_ns"]),
            "still killed; alice asks for the release, bob approves it, trading goes on",
        ),
        (
            clock(dead_ns),
            (
                f"SIGKILL at event {figures['recovered_events']:,}, between append and send; "
                f"the recording goes on for {plan.outage_s} s"
            ),
        ),
        (
            clock(told.up[-1]["now_ns"]),
            (
                f"recovered {figures['recovered_events']:,} events; "
                f"{figures['filled_while_dead']} fills of meanwhile found at the venue"
            ),
        ),
        (clock(plan.end_ns), "close; day orders expire"),
    ]


def compared(session: Session) -> str:
    """Rates, sizes and spread of a synthetic day beside the recording's; empty for a recording."""
    if not session.plan.is_synthetic:
        return ""
    from pyoms.demo.plan import RECORDED_PROFILE

    rows = [f"{'':<34}{'synthetic':>14}{'recording':>14}"]
    for what, number in session.day.tape.profile():
        recorded = RECORDED_PROFILE.get(what)
        told = "-" if recorded is None else f"{recorded:.3f}"
        rows.append(f"{what:<34}{number:>14.3f}{told:>14}")
    return "\n".join(rows)


def show(session: Session, found: Found, summary: Summary, console: Console) -> None:
    """Print the report."""
    from rich import box
    from rich.columns import Columns
    from rich.panel import Panel
    from rich.table import Table

    figures = found.figures

    def table(title: str, *heads: str) -> Table:
        made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
        for i, head in enumerate(heads):
            made.add_column(head, justify="left" if i == 0 else "right", overflow="fold")
        return made

    day = table("The day", "UTC", "what")
    day.columns[1].justify = "left"
    for row in summary.drills:
        day.add_row(*row)
    console.print(day)
    states = table("Orders by end state", "state", "orders")
    for name, count in summary.end_states:
        states.add_row(name, f"{count:,}")
    reasons = table("Refused commands by reason", "reason", "commands")
    for name, count in figures["rejected"].items():
        reasons.add_row(name, f"{count:,}")
    latency = table("Decision latency, tier " + figures["tier"], "", "")
    for name in ("p50", "p99", "p999", "max"):
        latency.add_row(name.replace("999", "99.9"), nanoseconds(figures[f"decide_{name}_ns"]))
    latency.add_row("decisions", f"{figures['decide_n']:,}")
    latency.add_row("events/s, whole run", f"{summary.events_per_s:,.0f}")
    latency.add_row("events, busiest virtual s", f"{summary.busiest_s:,}")
    console.print(Columns([states, reasons, latency], padding=(0, 4)))
    money = table(
        "Positions and PnL by account, USD",
        "account",
        "net",
        "bought",
        "sold",
        "realised",
        "unrealised",
        "fees",
        "total",
    )
    for account in summary.accounts:
        money.add_row(
            account.name,
            f"{account.net:,}",
            f"{account.bought:,}",
            f"{account.sold:,}",
            f"{account.realised:,.2f}",
            f"{account.unrealised:,.2f}",
            f"{account.fees:,.2f}",
            f"{account.total:,.2f}",
        )
    console.print(money)
    used = table("How our fills use up recorded volume (lots)", "what", "lots", "")
    used.columns[2].justify = "left"
    for line in summary.volume:
        used.add_row(*line)
    console.print(used)
    console.print(Panel(session.fill_model, title="How orders are filled", title_align="left"))
    if summary.spread_table:
        title = "The day is synthetic; the recording's figures beside it"
        console.print(Panel(summary.spread_table, title=title, title_align="left"))
    proof = table("Proof", "", "line", "what was found")
    proof.columns[1].justify = proof.columns[2].justify = "left"
    for name, holds, what in found.proof.lines:
        proof.add_row("[green]ok[/]" if holds else "[bold red]NO[/]", name, what)
    console.print(proof)
    console.print(
        f"{figures['commands']:,} commands, {figures['accepted']:,} accepted, {figures['fills']:,} "
        f"fills, {figures['events']:,} events in {figures['wall_s']:.1f} s; "
        f"state {figures['live_state_hash']}, tier {figures['tier']} (survives kill -9, not power "
        "loss)"
    )
