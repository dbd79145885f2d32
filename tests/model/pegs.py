"""Orders pegged here to best bid, best offer or the midpoint: the oracle's half of pegs.

Called by `tests.model.desk`. Written from docs/operations.md and the policies that the header of
the engine's module states: at its venue it is a limit order, on the tick of the passive side and
never beyond Price(44) of the command; the desk replaces it when its price has moved far enough, not
too often, one change at a time, within every check of a replace. What must stay true: a reference
that is none prices nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.model.life import Order

if TYPE_CHECKING:
    from tests.model.desk import Desk, Instrument

Event = dict[str, Any]

NO_PRICE = -(2**63)
NEVER_NS = 2**63 - 1
PEGS = ("bid", "ask", "mid")


def reference(instrument: Instrument, peg: str) -> int | None:
    """Give twice what a price is pegged to, which is whole; None where there is no reference."""
    if instrument.reference_fault() or NO_PRICE in (instrument.bid, instrument.ask):
        return None
    twice = {"bid": 2 * instrument.bid, "ask": 2 * instrument.ask}
    twice["mid"] = instrument.bid + instrument.ask
    return twice.get(peg)


def price_of(instrument: Instrument, buys: bool, peg: str, offset: int, worst: int) -> int | None:
    """Price on the tick away from the market, within the worst one, 0 for none."""
    twice, tick = reference(instrument, peg), instrument.tick
    if twice is None or not tick:
        return None

    def passive(twice_px: int) -> int:
        """Give the tick at or behind half of it."""
        return twice_px // (2 * tick) * tick if buys else -(-twice_px // (2 * tick)) * tick

    price = passive(twice + 2 * offset)
    if not worst:
        return price
    return min(price, passive(2 * worst)) if buys else max(price, passive(2 * worst))


def first_price(instrument: Instrument, c: Event, t: Event) -> int:
    """Price that a new one is judged by: without a reference that check fails, not the price."""
    price = price_of(instrument, c["side"] == "buy", t["peg_type"], t["peg_offset"], c["price"])
    if price is not None:
        return price
    bid = instrument.tick if instrument.bid == NO_PRICE else instrument.bid
    return int(c["price"] or bid)


def reprice(desk: Desk, instrument_id: int) -> list[str]:
    """Replace what is pegged to the best bid and offer of an instrument, the oldest first."""
    instrument, kinds = desk.instruments[instrument_id], []
    if desk.recovering or not instrument.sound(desk.now_ns):
        return []
    for order in sorted(desk.orders.values(), key=lambda o: o.seq):
        if order.live and order.ord_type == "pegged" and order.instrument_id == instrument_id:
            kinds += follow(desk, order, instrument)
    return kinds


def follow(desk: Desk, order: Order, instrument: Instrument) -> list[str]:
    """Replace one order whose price has moved; what cannot go yet is looked at again in time."""
    terms = order.terms
    assert terms is not None
    price = price_of(instrument, order.buys, terms.peg, terms.peg_offset, terms.stop_px)
    if price is None or abs(price - order.price) < desk.peg_ticks * instrument.tick:
        return []
    soonest = terms.pegged_ns + desk.peg_interval_ns
    flies = order.canceling or order.replacing or order.unsure or order.asked or order.asked_qty
    if desk.now_ns < soonest:
        desk.wake_ns = min(desk.wake_ns, soonest)
        return []
    if flies or not order.known or order.aside:
        again = desk.now_ns + desk.peg_interval_ns // 4 + 1
        desk.wake_ns = min(desk.wake_ns, max(soonest, again))
        return []
    change: Event = {"price": price, "order_qty": order.qty, "why": "peg"}
    if any(fault != "unchanged" for fault in desk.replace_faults(change, order)):
        return []
    return desk.send_replace(order, change | {"session_id": 0, "cl_ord_id": ""})


def wake(desk: Desk) -> list[str]:
    """Price what had to wait, once its time has come."""
    if desk.now_ns < desk.wake_ns:
        return []
    desk.wake_ns = NEVER_NS
    return [kind for number in sorted(desk.instruments) for kind in reprice(desk, number)]
