"""Hold the limits beyond one account and one order, as REQUIREMENTS section 1 asks for them.

Sums over groups of accounts, an instrument, a sector and the whole desk, margin as buying power,
and windows. Folded from orders and bookings at each question; what must stay true: no sum is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.model.desk import Desk, Event, Limits

UNLIMITED = 2**63 - 1
MINUTE_NS = 60 * 10**9
UNIT_MARGIN = 256
MARK_SHORT = 512
NO_MARKET = 32


@dataclass(frozen=True, slots=True)
class More:
    """What an order adds to one side of an account in an instrument."""

    account_id: int
    instrument_id: int
    buys: bool
    qty: int
    points: int
    gross_new: int


def above(desk: Desk, account_id: int) -> list[int]:
    """Accounts above an account, the desk (0) last."""
    found, at = [], account_id
    while at:
        at = desk.parents.get(at, 0)
        found.append(at)
    return found


def below(desk: Desk, group: int) -> list[int]:
    """Accounts of a group, itself too; all of them of the desk."""
    return [a for a in desk.accounts if a == group or group in above(desk, a)]


def margin(desk: Desk, instrument_id: int, gross: int, qty: int) -> int:
    """Margin of so much gross in points, and of so many units."""
    instrument = desk.instruments[instrument_id]
    if not instrument.flags & UNIT_MARGIN:
        return desk.money(instrument_id, gross) * instrument.margin // 10**6
    rate = desk.rates.get(instrument.currency_id, 0)
    return max(qty, 0) * instrument.margin * 10**9 * rate // 10**30


def pair_margin(desk: Desk, account_id: int, instrument_id: int, more: More | None = None) -> int:
    """Margin of an account in an instrument, with what an order adds."""
    net = desk.position(account_id, instrument_id).net_qty
    sides = [desk.open_side(account_id, instrument_id, buys)[0] for buys in (True, False)]
    gross = max(*desk.gross_sides(account_id, instrument_id), 0)
    if more is not None and (more.account_id, more.instrument_id) == (account_id, instrument_id):
        sides[0 if more.buys else 1] += more.qty
        gross = more.gross_new
    return margin(desk, instrument_id, gross, max(net + sides[0], sides[1] - net))


def sums(
    desk: Desk, accounts: list[int], instruments: list[int], more: More
) -> tuple[int, int, int]:
    """Gross, the worst net of the order's side, and margin over some pairs, with the order."""
    gross = net = asked = 0
    for a in accounts:
        for i in instruments:
            side = desk.sides(a, i)[0 if more.buys else 1]
            own = max(*desk.gross_sides(a, i), 0)
            if (a, i) == (more.account_id, more.instrument_id):
                side, own = side + more.points, more.gross_new
            gross, net = gross + desk.money(i, own), net + desk.money(i, side)
            asked += pair_margin(desk, a, i, more)
    return gross, net, asked


def passed(value: int, limit: int) -> bool:
    """Whether a sum is beyond a limit of whole units."""
    return limit != UNLIMITED and value > limit * 10**6


def sum_faults(desk: Desk, more: More) -> Iterator[str]:
    """Tell which sums above a pair an order would pass, in the order of precedence."""
    everything = list(desk.instruments)
    groups = above(desk, more.account_id)
    rows = [(desk.limits.get(("account" if g else "desk", g, 0)), below(desk, g)) for g in groups]
    held = [(row, sums(desk, who, everything, more)) for row, who in rows if row is not None]
    sector = desk.instruments[more.instrument_id].sector_id
    alike = [i for i in everything if desk.instruments[i].sector_id == sector]
    scopes = [
        ("group", held),
        ("symbol", found(desk, ("instrument", more.instrument_id, 0), [more.instrument_id], more)),
        ("sector", found(desk, ("sector", sector, 0), alike, more)),
    ]
    for name, of in scopes:
        if any(passed(told[1], row.net_notional_max) for row, told in of):
            yield f"{name}_net_limit"
        if any(passed(told[0], row.gross_notional_max) for row, told in of):
            yield f"{name}_gross_limit"
    own = desk.limits.get(("account", more.account_id, 0))
    if own is not None:
        held = [(own, sums(desk, below(desk, more.account_id), everything, more)), *held]
    if any(row.margin_max and told[2] > row.margin_max * 10**6 for row, told in held):
        yield "margin_limit"


def found(
    desk: Desk, key: tuple[str, int, int], instruments: list[int], more: More
) -> list[tuple[Limits, tuple[int, int, int]]]:
    """Find a row of limits over some instruments of all accounts, with its sums."""
    row = desk.limits.get(key)
    if row is None:
        return []
    return [(row, sums(desk, list(desk.accounts), instruments, more))]


def window_faults(desk: Desk, of: dict[str, int]) -> Iterator[str]:
    """No more than so many sends of an instrument or strategy in its window, of a minute at all."""

    def full(scope: str, most: int, window_ns: int, kind: str = "") -> bool:
        times = desk.sends.get((scope + kind, of[scope]), [])
        return bool(most) and sum(t + window_ns > desk.now_ns for t in times) >= most

    rows = {scope: desk.limits.get((scope, number, 0)) for scope, number in of.items()}
    for scope, reason in (("instrument", "throttle_symbol"), ("strategy", "throttle_strategy")):
        row = rows[scope]
        if row is not None and full(scope, row.orders_max, row.window_ns):
            yield reason
    own = [(scope, rows[scope]) for scope in ("session", "account")]
    if any(
        row and full(scope, row.minute_orders_max, MINUTE_NS, "'s minute") for scope, row in own
    ):
        yield "throttle_minute"


def short_fault(desk: Desk, c: Event, qty: int) -> Iterator[str]:
    """Tell a sell beyond what is held and not for sale yet that is not marked as a short sale."""
    account_id, instrument_id = c["account_id"], c["instrument_id"]
    if not desk.instruments[instrument_id].flags & MARK_SHORT or c["side"] != "sell" or qty <= 0:
        return
    net = desk.position(account_id, instrument_id).net_qty
    if qty > max(net - desk.open_side(account_id, instrument_id, False)[0], 0):
        yield "short_unmarked"
