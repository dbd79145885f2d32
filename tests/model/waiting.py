"""Orders that wait here, groups of orders, timers and days: the oracle's half of order terms.

Called by `tests.model.desk`, which gives itself to each function. Written from REQUIREMENTS §1-2,
CORNERS 27, 29, 31 and 32 and, where those say nothing, from the policies that the headers of the
engine's modules state: a trigger is a level and believes no price while the reference is unsound;
an order is judged again when it leaves; the timer asks for a cancel and only the venue, or a proved
close of its day, ends what is at the venue. Slow and plain: every list is looked through whole.
What must stay true: nothing is judged in `apply`, so a folded log releases and cancels nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.model import parts, pegs
from tests.model.life import WAIT_FOR_PRICE, Order

if TYPE_CHECKING:
    from tests.model.desk import Desk, Instrument

Event = dict[str, Any]

SECOND_NS = 1_000_000_000
NO_TERMS: Event = {
    "session_id": 1,
    "stop_px": 0,
    "trail": 0,
    "max_floor": 0,
    "min_qty": 0,
    "expire_time_ns": 0,
    "expire_day": 0,
    "peg_offset": 0,
    "peg_type": "none",
    "group_seq": 0,
    "contingency": "none",
    "leg_ref": 0,
    "trigger": 0,
    "exec_inst": (),
    "parent_order_seq": 0,
    "reference_px": 0,
    "shown_qty": 0,
}
"""An offer of terms that says nothing."""


def street_type(ord_type: str) -> str:
    """Say what a type goes out as: a limit keeps its limit, the others go at the market."""
    limited = ("limit", "stop_limit", "limit_if_touched", "pegged")
    return "limit" if ord_type in limited else "market"


def waits(command: Event, offer: Event | None) -> bool:
    """Whether a new order waits here: for a price, or for the first leg of its group."""
    if offer is None:
        return False
    child = offer["group_seq"] != 0 and offer["contingency"] in ("oto_first", "oto_full", "bracket")
    return command["ord_type"] in WAIT_FOR_PRICE or child


def rises(order: Order) -> bool:
    """Whether a rising price meets it: a buy stop, or a sell that waits to be touched."""
    assert order.terms is not None
    return order.buys != order.terms.ord_type.endswith("_if_touched")


# Judging an offer ---------------------------------------------------------------------------------


def own_faults(
    desk: Desk, c: Event, t: Event, instrument: Instrument, venue_id: int
) -> Iterator[str]:
    """Every check that the terms themselves fail, in the order of the catalogue."""
    priced, trailing = c["ord_type"] in WAIT_FOR_PRICE, c["ord_type"] == "trailing_stop"
    limited, held = street_type(c["ord_type"]) == "limit", waits(c, t)
    pegged = c["ord_type"] == "pegged"
    takes = {"stop_px": priced and not trailing, "trail": trailing, "peg_offset": pegged}
    takes |= {"max_floor": limited and not pegged, "peg_type": pegged, "contingency": not pegged}
    never = ("min_qty", "leg_ref", "trigger", "parent_order_seq")
    wrong = [name for name, fine in takes.items() if t[name] not in (0, "none") and not fine]
    if wrong or c["is_parent"] or t["reference_px"] or any(t[name] for name in never):
        yield "terms_not_allowed"
    if priced and not trailing and stop_px_wrong(instrument, t["stop_px"]):
        yield "stop_px_invalid"
    if trailing:
        ppm = "trail_ppm" in t["exec_inst"]
        whole = t["trail"] < 1_000_000 if ppm else t["trail"] % instrument.tick == 0
        if t["trail"] <= 0 or not whole:
            yield "trail_invalid"
        if trail_start(instrument, c["side"] == "buy", t["exec_inst"]) is None:
            yield "trail_reference_absent"
    if not expiry_fine(desk, c, t, venue_id):
        yield "expire_invalid"
    phase = instrument.phase or desk.venues[venue_id].phase
    if c["time_in_force"] == "at_open" and (held or phase not in ("pre_open", "auction")):
        yield "phase_not_for_tif"
    if c["time_in_force"] == "at_close" and held:
        yield "phase_not_for_tif"
    allowed = {"reduce_only"}
    if (priced or limited) and not pegged:
        allowed |= {"by_quote"} if priced else {"post_only"}
        allowed |= {"post_only", "iceberg_here"} if limited else set()
        allowed |= {"trail_ppm"} if trailing else set()
    if not held:
        whose = (c["account_id"], c["instrument_id"], c["side"] == "buy", c["effect"])
        taken = tuple(word for word in t["exec_inst"] if word in allowed)
        yield from exec_inst_faults(desk, whose, taken, c["price"], c["order_qty"], 0)
    floor = t["max_floor"]
    if floor < 0 or floor > c["order_qty"] or floor % instrument.lot:
        yield "max_floor_invalid"
    yield from group_faults(desk, c, t, venue_id)
    if not set(t["exec_inst"]) <= allowed:
        yield "exec_inst_invalid"
    if pegged and (t["peg_type"] not in pegs.PEGS or t["peg_offset"] % instrument.tick):
        yield "peg_invalid"


def stop_px_wrong(instrument: Instrument, stop_px: int) -> bool:
    """Whether a stop price is none that the instrument can trade at."""
    return (stop_px <= 0 and not instrument.negative_prices) or stop_px % instrument.tick != 0


def expiry_fine(desk: Desk, c: Event, t: Event, venue_id: int) -> bool:
    """Good till date has one of ExpireTime(126) and ExpireDate(432), not yet over; others none."""
    time_ns, day = t["expire_time_ns"], t["expire_day"]
    if c["time_in_force"] != "gtd":
        return not time_ns and not day
    if time_ns and day:
        return False
    return bool(time_ns > desk.now_ns if time_ns else day and day >= desk.venues[venue_id].day)


def exec_inst_faults(
    desk: Desk,
    whose: tuple[int, int, bool, str],
    exec_inst: tuple[str, ...],
    price: int,
    qty: int,
    own_qty: int,
) -> Iterator[str]:
    """Post-only may not meet the other side; reduce-only closes what no other order closes yet."""
    _, instrument_id, buys, _ = whose
    if "post_only" in exec_inst:
        against = desk.instruments[instrument_id].facing(buys)
        if against is not None and (price >= against if buys else price <= against):
            yield "post_only_crosses"
    if "reduce_only" in exec_inst and qty > desk.reducible(*whose, own_qty):
        yield "reduce_only_exceeds"


def group_faults(desk: Desk, c: Event, t: Event, venue_id: int) -> Iterator[str]:
    """Check that a later leg names a first one that lives, untraded, of the same owner."""
    kind, group_seq = t["contingency"], t["group_seq"]
    if kind not in ("none", "oco", "oto_first", "oto_full", "bracket"):
        yield "contingency_invalid"
        return
    if kind == "none" and group_seq:
        yield "contingency_invalid"
    if kind == "none" or not group_seq:
        return
    first = desk.orders.get(group_seq)
    if first is None or first.terms is None or first.terms.group_seq != group_seq:
        yield "group_unknown"
        return
    if (kind == "oco") != (first.terms.contingency == "oco"):
        yield "contingency_invalid"
    fresh = first.live and not first.cum_qty and not first.asked and not first.canceling
    owner = (first.session_id, first.account_id, first.venue_id)
    if not fresh or owner != (c["session_id"], c["account_id"], venue_id):
        yield "group_unknown"


# Trailing -----------------------------------------------------------------------------------------


def trail_start(instrument: Instrument, buys: bool, exec_inst: tuple[str, ...]) -> int | None:
    """Give the price that a trailing stop starts from: the last of its source, else the quote's."""
    last_px, facing = instrument.last_px, instrument.facing(buys)
    if "by_quote" not in exec_inst and instrument.is_price(last_px):
        return last_px
    return facing if instrument.is_price(facing) else None


def trailed(instrument: Instrument, buys: bool, trail: int, ppm: bool, best_px: int) -> int:
    """StopPx(99) behind the best price seen, on the tick away from the market."""
    distance = abs(best_px) * trail // 1_000_000 if ppm else trail
    if buys:
        return -(-(best_px + distance) // instrument.tick) * instrument.tick
    return (best_px - distance) // instrument.tick * instrument.tick


def stop_now(desk: Desk, order: Order) -> int:
    """StopPx(99) at this moment."""
    terms = order.terms
    assert terms is not None
    if not terms.trailing:
        return terms.stop_px
    instrument = desk.instruments[order.instrument_id]
    ppm = "trail_ppm" in terms.exec_inst
    return trailed(instrument, order.buys, terms.trail, ppm, terms.best_px)


# Prices -------------------------------------------------------------------------------------------


def price_seen(
    desk: Desk, instrument_id: int, source: str, px: int, buys: bool | None
) -> list[str]:
    """Release what a price meets: a quote's side speaks to one side, a trade to both (None)."""
    instrument = desk.instruments[instrument_id]
    if desk.recovering or not instrument.sound(desk.now_ns) or not instrument.is_price(px):
        return []

    def waiting(trailing: bool) -> list[Order]:
        return [
            order
            for order in desk.orders.values()
            if order.held
            and order.instrument_id == instrument_id
            and order.terms is not None
            and order.terms.armed
            and order.terms.source == source
            and order.terms.trailing == trailing
            and buys in (None, order.buys)
        ]

    kinds: list[str] = []
    for up in (True, False):
        while True:  # those nearest to where the price came from go first
            sign = 1 if up else -1
            met = [
                o for o in waiting(False) if rises(o) == up and sign * (px - stop_now(desk, o)) >= 0
            ]
            if not met:
                break
            order = min(met, key=lambda o: (sign * stop_now(desk, o), o.seq))
            kinds += release(desk, order)
    for order in sorted(waiting(True), key=lambda o: o.seq):
        terms = order.terms
        assert terms is not None
        if not terms.armed:
            continue  # the release before it was refused, and their group let go of it
        better = px < terms.best_px if order.buys else px > terms.best_px
        terms.best_px = px if better else terms.best_px
        stop_px = stop_now(desk, order)
        if px >= stop_px if order.buys else px <= stop_px:
            kinds += release(desk, order)
        elif stop_px != terms.stop_px and desk.now_ns - terms.logged_ns >= SECOND_NS:
            # It may be told whenever a price is looked at, and must be when that price moved it.
            desk.moves[order.seq] = (stop_px, terms.best_px, better)
    return kinds


def quote_seen(desk: Desk, instrument_id: int) -> list[str]:
    """Best bid and offer: buys watch the offer, sells the bid; a crossed pair says nothing."""
    instrument = desk.instruments[instrument_id]
    bid, ask = instrument.facing(False), instrument.facing(True)
    if bid is not None and ask is not None and bid > ask:
        return []
    kinds = price_seen(desk, instrument_id, "quote", ask, True) if ask is not None else []
    return kinds + (price_seen(desk, instrument_id, "quote", bid, False) if bid is not None else [])


def release(desk: Desk, order: Order, leg: bool = False) -> list[str]:
    """Send a held order whose trigger was met, arm it if that was its leg, or reject it here."""
    terms, instrument = order.terms, desk.instruments[order.instrument_id]
    assert terms is not None
    event: Event = {"kind": "triggered", "order_seq": order.seq, "stop_px": terms.stop_px}
    event |= {"price": order.price, "order_qty": released_qty(desk, order), "verdict": "accepted"}
    event |= {"mark_px": terms.best_px, "ord_type": order.ord_type}
    if leg and terms.waits_for_price:
        if terms.trailing:
            start = trail_start(instrument, order.buys, terms.exec_inst)
            event["mark_px"] = terms.best_px if start is None else start
            ppm = "trail_ppm" in terms.exec_inst
            stop_px = trailed(instrument, order.buys, terms.trail, ppm, event["mark_px"])
            event["stop_px"] = stop_px
        desk.apply(event | {"outcome": "armed"})
        return ["triggered"]
    event["stop_px"] = stop_now(desk, order)
    out = street_type(terms.ord_type)
    price = order.price
    if out == "market" and not instrument.reference_fault():
        collar = instrument.collar(order.buys)
        price = order.price if collar is None else collar
    for verdict in release_faults(desk, order, price, event["order_qty"]):
        desk.apply(event | {"outcome": "refused", "verdict": verdict})
        return ["triggered"]
    part = parts.next_qty(desk, order, event["order_qty"])
    event |= {"shown_qty": part if part < event["order_qty"] else 0}
    desk.apply(event | {"outcome": "released", "price": price, "ord_type": out})
    desk.apply(desk.message(order, "new_order", 0))
    return ["triggered", "routed"]


def release_faults(desk: Desk, order: Order, price: int, qty: int) -> Iterator[str]:
    """Every check at the moment an order leaves; it has reserved and counted all along."""
    instrument = desk.instruments[order.instrument_id]
    exec_inst = order.terms.exec_inst if order.terms else ()
    whose = (order.account_id, order.instrument_id, order.buys, order.effect)
    mode = desk.order_mode(order)
    if mode in ("cancel_only", "halt") or (mode == "reduce_only" and not desk.reduces(*whose, 0)):
        yield "killed"
    if desk.recovering:
        yield "recovering"
    if instrument.restricted:
        yield "instrument_restricted"
    market = street_type(order.ord_type) == "market"
    yield from desk.price_and_qty_faults(instrument, price, qty, market)
    yield from desk.phase_faults(instrument, order.venue_id)
    left = desk.parent_left(order)
    if left is None:
        yield "parent_unknown"
    elif left < 0:
        yield "parent_exceeded"
    before = order.worst(desk.venues[order.venue_id].replace_rule)
    risk: Event = {"account_id": order.account_id, "instrument_id": order.instrument_id}
    risk["effect"] = order.effect
    adds = (qty - before[0], abs(price * qty) - before[1])
    yield from desk.risk_faults(risk | {"side": order.side}, price, *adds, qty)
    yield from exec_inst_faults(desk, whose, exec_inst, price, qty, order.leaves_qty)
    closes = order.account_id in desk.hedging and order.effect == "close"
    if closes and qty > desk.reducible(*whose, before[0]):
        yield "close_exceeds_leg"  # it has reserved all along, and its leg may have shrunk since


# Groups -------------------------------------------------------------------------------------------


def released_qty(desk: Desk, order: Order) -> int:
    """Size a child that goes out: once its first leg has ended, no more than that has filled."""
    assert order.terms is not None
    first = desk.orders.get(order.terms.group_seq)
    sized = order.terms.is_child and order.terms.contingency != "oto_first"
    if first is None or first is order or first.live or not sized:
        return order.qty
    return min(order.qty, max(first.cum_qty, 1))


def follow(desk: Desk, order: Order, was_live: bool, filled: bool) -> None:
    """Tell the others of its group of a change, and what only reduces of a fill."""
    if order.terms and order.terms.group_seq:
        # An end that the group itself wanted is no news to it.
        ended = was_live and not order.live and not order.terms.group_asked
        if ended or filled:
            follow_group(desk, order, ended, filled)
    if filled:
        follow_reducing(desk, order.account_id, order.instrument_id)


def others(desk: Desk, order: Order) -> Iterator[tuple[Order, bool]]:
    """Give every other leg of its group, the newest first, and whether only one may trade."""
    if order.terms is None or not order.terms.group_seq:
        return
    first = desk.orders[order.terms.group_seq]
    assert first.terms is not None
    for leg in sorted(desk.orders.values(), key=lambda o: -o.seq):
        if leg is order or leg.terms is None or leg.terms.group_seq != first.seq:
            continue
        brackets = order.terms.contingency == leg.terms.contingency == "bracket"
        yield leg, first.terms.contingency == "oco" or (brackets and first not in (order, leg))


def follow_group(desk: Desk, order: Order, ended: bool, filled: bool) -> None:
    """Tell every other leg, the first leg last."""
    for leg, rival in others(desk, order):
        assert leg.terms is not None
        if rival:
            if filled and leg.cum_qty:
                race(desk, order, leg)
            ask(leg, by_group=True)
        elif leg.terms.group_seq == order.seq and leg.held and not leg.asked:
            follow_first(desk, order, leg, ended, filled)


def disarm_rivals(desk: Desk, order: Order) -> None:
    """Let no rival that is held leave beside a leg that left for its price."""
    if order.terms is None or not order.terms.waits_for_price:
        return
    for leg, rival in others(desk, order):
        if rival and leg.terms is not None:
            leg.terms.armed = False


def rival_has_left(desk: Desk, order: Order) -> bool:
    """Whether a leg that was held for a price is out, beside which this one must not leave."""
    return any(
        rival and leg.live and not leg.held and leg.terms is not None and leg.terms.waits_for_price
        for leg, rival in others(desk, order)
    )


def undo_due(desk: Desk, first: Order) -> None:
    """Let the legs wait again that only fills made due which never were."""
    if first.cum_qty or first.terms is None or first.terms.group_seq != first.seq:
        return
    if first.terms.contingency == "oco":
        return
    for leg in desk.orders.values():
        if leg.terms and leg.terms.group_seq == first.seq and leg.held and leg.terms.due:
            leg.terms.due = False
            if not first.live:
                ask(leg, by_group=True)


def race(desk: Desk, order: Order, rival: Order) -> None:
    """Two legs that may not both trade have traded: both fills stand, and a person is told once."""
    assert order.terms is not None
    assert rival.terms is not None
    told = [t for t in (order.terms, rival.terms) if t.raced_with or t.flagged]
    if not told:
        order.terms.raced_with = rival.seq
        desk.due.append(order.seq)


def follow_first(desk: Desk, first: Order, child: Order, ended: bool, filled: bool) -> None:
    """Release a child by the first leg's fill or end with fills; by an end without, cancel it."""
    assert child.terms is not None
    if child.terms.armed or child.terms.due:
        return
    over = ended or first.status == "filled"
    due = filled if child.terms.contingency == "oto_first" else over
    if due and first.cum_qty:
        child.terms.due = True
        desk.due.append(child.seq)
    elif ended and not first.cum_qty:
        ask(child, by_group=True)


def ask(order: Order, by_group: bool = False) -> None:
    """Ask for a cancel by the desk itself: no price releases the order any more."""
    if not order.live or order.asked:
        return
    order.asked = True
    if order.terms:
        order.terms.armed = False
        order.terms.group_asked = by_group


def work_due(desk: Desk) -> list[str]:
    """Release or arm the children that are due and tell the races, oldest first."""
    kinds: list[str] = []
    while desk.due and not desk.recovering:
        order = desk.orders[desk.due.pop(0)]
        terms = order.terms
        assert terms is not None
        if terms.raced_with:
            event = {"kind": "group_flagged", "order_seq": order.seq, "group_seq": terms.group_seq}
            other = desk.orders[terms.raced_with]
            event |= {"other_order_seq": other.seq, "other_cum_qty": other.cum_qty}
            desk.apply(event | {"cum_qty": order.cum_qty})
            kinds.append("group_flagged")
        elif terms.due and not order.asked:
            kinds += release(desk, order, leg=True)
    return kinds


def follow_reducing(desk: Desk, account_id: int, instrument_id: int) -> None:
    """Cancel reduce-only orders that would now open a position, the newest first."""
    short, long = (desk.book_closed_by(account_id, instrument_id, buys) for buys in (True, False))
    left = {True: max(-short.net_qty, 0), False: max(long.net_qty, 0)}
    for order in sorted(desk.orders.values(), key=lambda o: o.seq):
        if not order.live or order.held or order.terms is None:
            continue  # what is held is judged when it leaves
        ours = (order.account_id, order.instrument_id) == (account_id, instrument_id)
        if ours and "reduce_only" in order.terms.exec_inst:
            if order.leaves_qty <= left[order.buys]:
                left[order.buys] -= order.leaves_qty
            else:
                ask(order)


# Timers and days ----------------------------------------------------------------------------------


def run_timers(desk: Desk) -> list[str]:
    """Send cancels for orders whose ExpireTime(126) has come, the earliest first."""
    kinds: list[str] = []
    tried: set[int] = set()
    while True:
        ripe = [
            (order.terms.timer_ns, order.seq)
            for order in desk.orders.values()
            if order.live and order.terms and 0 < order.terms.timer_ns <= desk.now_ns
        ]
        ripe = [entry for entry in ripe if entry[1] not in tried]
        if not ripe:
            return kinds
        order = desk.orders[min(ripe)[1]]
        tried.add(order.seq)
        if not desk.cancel_fault(order):
            kinds += desk.send_cancel(order, {"why": "expiry"})


def day_over(desk: Desk, order: Order) -> bool:
    """Whether the day that has closed at its venue was this order's last."""
    venue = desk.venues[order.venue_id]
    after = order.seq >= venue.closed_seq  # it waits for the next day
    if not venue.closed or after or order.time_in_force == "gtc":
        return False
    if order.time_in_force == "gtd":
        return order.terms is not None and 0 < order.terms.expire_day <= venue.day
    return True


def end_day(desk: Desk, e: Event) -> None:
    """End what was at the venue if that is proved; what is here is asked for, and ends here."""
    for order in sorted(desk.orders.values(), key=lambda o: o.seq):
        if order.venue_id != e["venue_id"] or not order.live:
            continue
        if order.aside == "done_for_day" and order.cum_qty >= order.qty and not order.unsure:
            desk.expire(order)  # by its fills: the day it was done for is over
            follow(desk, order, was_live=True, filled=False)
        elif not day_over(desk, order):
            continue
        elif order.is_here:
            ask(order)
        elif e.get("proved") and order.known and not order.unsure and not order.unproved:
            desk.expire(order)
            follow(desk, order, was_live=True, filled=False)


def recheck(desk: Desk, venue_id: int) -> list[str]:
    """Cancel what a new day no longer allows of the orders that rest over days."""
    kinds: list[str] = []
    for order in sorted(desk.orders.values(), key=lambda o: o.seq):
        rests = order.live and order.venue_id == venue_id and not order.is_parent
        if not rests or order.time_in_force not in ("gtc", "gtd"):
            continue
        instrument = desk.instruments[order.instrument_id]
        fine = not instrument.restricted and order.price % instrument.tick == 0
        fine = fine and not any(desk.size_faults(order, order.price, order.leaves_qty))
        if not fine and not desk.cancel_fault(order):
            kinds += desk.send_cancel(order, {"why": "recheck"})
    return kinds
