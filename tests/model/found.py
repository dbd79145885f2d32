"""Orders that were found at a venue and are of no session: the oracle's half of adoption.

Called by `tests.model.desk`. Written from CORNERS 33, docs/operations.md and the meaning of
`foreign_order`: a report alone does not say what such an order is, the record before it does. By
the policy of its venue it is flagged, or becomes an order of the account that the venue names: a
fact, so no limit is asked. What must stay true: an id of a venue is one order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.model.life import WAIT_FOR_PRICE, Order

if TYPE_CHECKING:
    from tests.model.desk import Desk

Event = dict[str, Any]

SHOWS = ("new", "trade", "replaced", "restated", "suspended", "stopped", "done_for_day")
"""Words of an order that lives or has traded; the others tell of one that is over."""
LIVE_WORDS = ("new", "partially_filled", "pending_cancel", "pending_replace", *SHOWS[4:])
SAME = (
    *("account_id", "instrument_id", "venue_id", "side"),
    *("ord_type", "time_in_force", "price"),
)
"""What an order has as its record has it."""
SIDES = ("buy", "sell", "sell_short", "sell_short_exempt")
LASTS = ("day", "gtc", "ioc", "fok", "gtd", "at_open", "at_close")
TYPES = ("market", "limit", "pegged", *WAIT_FOR_PRICE)


def key_of(told: Event) -> tuple[int, str]:
    """Give the key of a venue's own id: no session has a number below zero."""
    return -told["venue_id"], told["street_id"]


def named(desk: Desk, r: Event) -> Order | None:
    """Find the adopted order that a report names by the venue's own id of it."""
    entry = desk.ids.get(key_of(r)) if r.get("street_id") else None
    return desk.orders.get(entry.order_seq) if entry else None


def shows(desk: Desk, r: Event) -> bool:
    """Whether a report says that its order lives or has traded, on a day that is remembered."""
    told = r["exec_type"] == "order_status" and r["ord_status"] in LIVE_WORDS
    day = r["trade_day"] or desk.day_of(r["venue_id"], r["transact_time_ns"])
    old = day + desk.fill_days < desk.venues[r["venue_id"]].day
    return (told or r["exec_type"] in SHOWS) and not old


def price_of(desk: Desk, f: Event, r: Event) -> int:
    """Price at which it reserves: without one, its fill's, else as a market order does."""
    instrument = desk.instruments.get(f["instrument_id"])
    if f["price"] or instrument is None:
        return int(f["price"])
    collar = None if instrument.reference_fault() else instrument.collar(f["side"] == "buy")
    return int(r["last_px"] or collar or 0)


def adopter(desk: Desk, f: Event, price: int) -> int:
    """Give the account that adopts an order which makes sense, 0 where it is flagged."""
    venue, instrument = desk.venues.get(f["venue_id"]), desk.instruments.get(f["instrument_id"])
    if venue is None or instrument is None or not instrument.tick:
        return 0
    id_fine = 1 <= len(f["street_id"]) <= 20 and f["street_id"].isascii()
    fine = id_fine and f["street_id"].isprintable() and f["side"] in SIDES
    fine = fine and f["ord_type"] in TYPES and f["time_in_force"] in LASTS and f["order_qty"] > 0
    fine = fine and (price > 0 or instrument.negative_prices)
    takes = venue.adopts in desk.accounts and venue.adopts not in desk.hedging
    return venue.adopts if fine and takes else 0


def found(desk: Desk, f: Event, r: Event) -> Event:
    """Make what is logged of an order that no report before told of."""
    event = f | {"kind": "foreign_order", "order_seq": 0, "account_id": 0}
    price = price_of(desk, f, r)
    account_id = adopter(desk, f, price) if shows(desk, r) else 0
    if not account_id:
        return event
    seq = max(desk.orders, default=0) + 1
    return event | {"order_seq": seq, "account_id": account_id, "price": price}


def differs(desk: Desk, told: Event, r: Event) -> bool:
    """Whether a log adopts or flags otherwise; quotes are not in it, so no edge of a band is.

    `desk` is as it is behind what was told, so that the account's mode is still what it was.
    """
    if not told["order_seq"] and not told["price"] and not r["last_px"]:
        return False
    price = told["price"] or r["last_px"]
    takes = bool(adopter(desk, told, price)) and shows(desk, r)
    return bool(takes != bool(told["order_seq"]))
