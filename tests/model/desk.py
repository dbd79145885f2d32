"""A whole desk in plain Python: the oracle that the engine is held against.

Called by the tests that drive engine and model side by side and by the fold of a log. Written
from REQUIREMENTS §1-2, DESIGN §2, §5-7, CORNERS and the meaning of each verdict and disposition;
it shares nothing with the engine. Events are dicts of names and whole numbers (`tests.model.seam`
makes them of records). What must stay true: a command is judged without changing anything, and
`apply` alone changes state, so that a log can be folded by the same sentences.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.model import bounds, found, parts, pegs, silence, versions, waiting
from tests.model.life import WAIT_FOR_PRICE, Change, Fill, Order, Piece, Terms
from tests.model.money import LEGS, Booking, Position, Split, fold, total

ONE = 1_000_000_000
NO_PRICE = -(2**63)
UNLIMITED = 2**63 - 1
MODES = ("open", "reduce_only", "cancel_only", "halt")
PHASES_OPEN = ("pre_open", "open", "auction")
NO_ID_TAKEN = (
    "session_unknown",
    "account_not_entitled",
    "cl_ord_id_malformed",
    "duplicate_id",
    "id_table_full",
)
"""Refusals that leave the id free (DESIGN §7)."""
ASIDE = ("suspended", "stopped", "done_for_day")
"""What a venue may set a live order aside as, strictest last."""
SWEEP_CANCELS = 32
"""Cancels that one input sends for mass cancels and kills."""
CANCEL_AGAIN_NS = ONE // 10
"""The first wait before a refused cancel is repeated, and the grid of all."""
LIVE_WORDS = ("new", "partially_filled", "pending_cancel", "pending_replace", *ASIDE)
ENDED_WORDS = ("canceled", "expired", "filled", "rejected")
"""What a queried OrdStatus may say: the order lives, or it ended."""
BOOKED = ("applied", "late", "overfill", "move_lost")
"""Dispositions of what changes an order."""

Event = dict[str, Any]


def decimals(fixed: int) -> int:
    """Count the decimal places that a number in fixed point needs."""
    return len(f"{abs(fixed) % ONE:09}".rstrip("0"))


@dataclass(slots=True)
class Instrument:
    """Terms, best bid and offer, and its own phase and kill mode."""

    venue_id: int = 0
    currency_id: int = 0
    tick: int = 0
    lot: int = 0
    qty_min: int = 0
    qty_max: int = 0
    multiplier: int = 0
    band: int = 0
    age_ns_max: int = 0
    flags: int = 0
    margin: int = 0
    sector_id: int = 0
    restricted: bool = False
    band_ppm: bool = False
    negative_prices: bool = False
    no_band: bool = False
    locked_fine: bool = False
    bid: int = NO_PRICE
    ask: int = NO_PRICE
    last_px: int | None = None
    quoted_ns: int = -(2**62)
    phase: str = ""
    order_qty_max: int = UNLIMITED

    def edge(self, price: int) -> int:
        """How far from a best price the band goes."""
        return abs(price) * self.band // 1_000_000 if self.band_ppm else self.band

    def reference_fault(self) -> str:
        """Why the best bid and offer are no reference, empty if they are one."""
        if self.no_band:
            return ""
        if NO_PRICE in (self.bid, self.ask):
            return "reference_absent"
        if not self.negative_prices and min(self.bid, self.ask) <= 0:
            return "reference_not_positive"
        if self.bid > self.ask:
            return "reference_crossed"
        return "reference_locked" if self.bid == self.ask and not self.locked_fine else ""

    def facing(self, buys: bool) -> int | None:
        """Best price of the other side, None for none."""
        px = self.ask if buys else self.bid
        return None if px == NO_PRICE else px

    def is_price(self, px: int | None) -> bool:
        """Whether market data told a price: of most instruments none is at or below zero."""
        return px is not None and (px > 0 or self.negative_prices)

    def sound(self, now_ns: int) -> bool:
        """Whether a price may be believed: the reference is there, fresh, not crossed or locked."""
        fresh = self.no_band or now_ns - self.quoted_ns <= self.age_ns_max
        return fresh and not self.reference_fault()

    def collar(self, buys: bool, stop_px: int = 0) -> int | None:
        """Price at which a market order reserves: the last tick within the band.

        One that waits for a stop reserves a band beyond it where that is the higher price.
        """
        worst: int | None = None
        if not self.no_band and NO_PRICE not in (self.bid, self.ask):
            worst = self.ask + self.edge(self.ask) if buys else self.bid - self.edge(self.bid)
        if stop_px:
            beyond = self.edge(stop_px) if buys else -self.edge(stop_px)
            told = [worst] if worst is not None and not self.reference_fault() else []
            worst = max(stop_px + beyond, *told) if told else stop_px + beyond
        if worst is None:
            return None
        return worst // self.tick * self.tick if buys else -(-worst // self.tick * self.tick)


@dataclass(slots=True)
class Limits:
    """One row of limits; money in whole units of desk currency."""

    orders_max: int = 0
    window_ns: int = 0
    order_qty_max: int = UNLIMITED
    order_notional_max: int = UNLIMITED
    net_qty_max: int = UNLIMITED
    gross_notional_max: int = UNLIMITED
    net_notional_max: int = UNLIMITED
    margin_max: int = 0
    minute_orders_max: int = 0


@dataclass(slots=True)
class Id:
    """What became of a client id."""

    body: tuple[object, ...]
    order_seq: int
    verdict: str
    time_ns: int


@dataclass(slots=True)
class Venue:
    """A venue's link, phase, day and rule."""

    link: str = "down"
    phase: str = "unknown"
    day: int = 0
    closed: bool = False  # its day is over, and the next has not opened
    closed_seq: int = 0  # the first order that came after its day had closed
    opened: list[tuple[int, int]] = field(default_factory=list)
    replace_rule: str = "in_flight_counted"
    queue_rule: str = "untold"  # what a replace keeps its place in the queue by
    replenishes: bool = False  # icebergs, by itself
    versions: bool = False  # the end of an ExecID(17) tells which version of it is told
    answer_s: int = 0  # a message without an answer for so long is asked about, 0 for never
    unjudged: bool = False  # its day opened while no cancel could leave
    adopts: int = 0  # account of the orders that are found there, 0 to flag them
    calendar: tuple[int, int] | None = None  # minutes east of UTC, minute at which a day begins
    clock_ns: int = 0  # since when; before, it was the one below
    was_calendar: tuple[int, int] | None = None


@dataclass
class Desk:
    """State folded from events, and the judgement of commands and reports on it."""

    id_ttl_ns: int = 24 * 3600 * ONE
    fill_days: int = 5  # days of which fills are remembered
    peg_interval_ns: int = ONE // 10
    peg_ticks: int = 1
    epoch: int = 0
    now_ns: int = 0
    recovering: bool = True
    orders: dict[int, Order] = field(default_factory=dict)
    ids: dict[tuple[int, str], Id] = field(default_factory=dict)
    bookings: dict[tuple[int, int], list[Booking]] = field(default_factory=dict)
    accounts: set[int] = field(default_factory=set)
    parents: dict[int, int] = field(default_factory=dict)  # account -> the one above, 0: the desk
    hedging: set[int] = field(default_factory=set)
    hedged: set[int] = field(default_factory=set)
    strategies: set[int] = field(default_factory=lambda: {0})
    sessions: dict[int, int] = field(default_factory=dict)
    venues: dict[int, Venue] = field(default_factory=dict)
    instruments: dict[int, Instrument] = field(default_factory=dict)
    rates: dict[int, int] = field(default_factory=dict)
    modes: dict[tuple[str, int], str] = field(default_factory=dict)
    limits: dict[tuple[str, int, int], Limits] = field(default_factory=dict)
    staged: list[Event] = field(default_factory=list)
    to_ask: list[int] = field(default_factory=list)
    may_ask: bool = False  # something has happened since what is left to ask could not be asked
    sends: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    due: list[int] = field(default_factory=list)  # legs to release, races to tell
    vacated: list[int] = field(
        default_factory=list
    )  # orders between two selves, oldest proof first
    # Outside the state: offers wait for their command, and a price may have moved a trailing stop.
    offers: dict[int, Event] = field(default_factory=dict)
    awaited: list[silence.Awaited] = field(default_factory=list)  # messages without an answer
    wake_ns: int = pegs.NEVER_NS  # when pegged orders are looked at without a quote
    offered: dict[int, Event] = field(default_factory=dict)  # by venue: an order that is not ours
    moves: dict[int, tuple[int, int, bool]] = field(default_factory=dict)
    applied: list[Event] = field(default_factory=list)

    # Money and exposure ------------------------------------------------------------------------

    def position(self, account_id: int, instrument_id: int) -> Position:
        """Fold what was booked, all legs together."""
        return total(self.bookings.get((account_id, instrument_id), []))

    def leg(self, account_id: int, instrument_id: int, leg: str) -> Position:
        """Fold one book of a position."""
        return fold(self.bookings.get((account_id, instrument_id), []), leg)

    def leg_of(self, account_id: int, buys: bool, effect: str) -> str:
        """Book that an order's fills are in: a close takes from the leg of the other side."""
        if account_id not in self.hedging:
            return "net"
        return "long" if buys != (effect == "close") else "short"

    def leg_left(self, account_id: int, instrument_id: int, leg: str) -> int:
        """Give what of a leg no live order closes yet."""
        held = self.leg(account_id, instrument_id, leg).net_qty
        closing = 0
        for order in self.orders.values():
            whose = (order.account_id, order.instrument_id, order.effect)
            mine = whose == (account_id, instrument_id, "close")
            if mine and self.leg_of(account_id, order.buys, "close") == leg:
                closing += order.worst(self.venues[order.venue_id].replace_rule)[0]
        return max(held if leg == "long" else -held, 0) - closing

    def book_closed_by(self, account_id: int, instrument_id: int, buys: bool) -> Position:
        """Fold what a buy or a sell closes: the position, or, hedging, the other side's leg."""
        return self.leg(account_id, instrument_id, self.leg_of(account_id, buys, "close"))

    def reducible(
        self, account_id: int, instrument_id: int, buys: bool, effect: str, own_qty: int
    ) -> int:
        """Give what an order that has so much reserved may close, beside the other live orders."""
        if account_id in self.hedging:
            leg = self.leg_of(account_id, buys, "close")
            left = self.leg_left(account_id, instrument_id, leg) + own_qty
            return max(left, 0) if effect == "close" else 0
        net = self.position(account_id, instrument_id).net_qty
        others = self.open_side(account_id, instrument_id, buys)[0] - own_qty
        return max((-net if buys else net) - others, 0)

    def gross_sides(self, account_id: int, instrument_id: int) -> tuple[int, int]:
        """Long and short value that gross takes the larger of: hedging, legs do not offset."""
        if account_id not in self.hedging:
            return self.sides(account_id, instrument_id)
        costs = [self.leg(account_id, instrument_id, leg).open_points for leg in LEGS]
        sides = [sum(max(c, 0) for c in costs), sum(max(-c, 0) for c in costs)]
        for order in self.orders.values():
            whose = (order.account_id, order.instrument_id) == (account_id, instrument_id)
            if whose and order.effect != "close":
                worst = order.worst(self.venues[order.venue_id].replace_rule)
                sides[0 if order.buys else 1] += worst[1]
        return sides[0], sides[1]

    def leg_faults(self, c: Order | Event, adds_qty: int | None = None) -> Iterator[str]:
        """Tell what a hedging account's order misses, or that it closes too much of its leg."""
        if isinstance(c, Order):
            whose, effect, adds = (c.account_id, c.instrument_id), c.effect, adds_qty or 0
            buys = c.buys
        else:
            whose, effect, adds = (c["account_id"], c["instrument_id"]), c["effect"], c["order_qty"]
            buys = c["side"] == "buy"
        if whose[0] not in self.hedging:
            return
        if effect not in ("open", "close"):
            yield "position_effect_invalid"
        leg = self.leg_of(whose[0], buys, effect)
        if effect == "close" and adds > max(self.leg_left(*whose, leg), 0):
            yield "close_exceeds_leg"

    def mode_fault(self, account_id: int, hedging: bool) -> str:
        """Say why an account's mode may not become this one, empty if it may."""
        if hedging == (account_id in self.hedging):
            return ""
        reserving = [order for order in self.orders.values() if order.live or order.owes]
        live = any(order.account_id == account_id for order in reserving)
        held = any(
            fold(bookings, leg).net_qty
            for (account, _), bookings in self.bookings.items()
            for leg in LEGS
            if account == account_id
        )
        return "position_mode_in_use" if live or held else ""

    def may_adjust(self, e: Event) -> bool:
        """Whether an adjustment names a book that the mode keeps or that is still open."""
        account_id, leg = e["account_id"], e.get("position_leg", "net")
        held = self.leg(account_id, e["instrument_id"], leg).net_qty
        if leg == "net":
            return account_id not in self.hedging or held != 0
        if account_id not in self.hedged or (account_id not in self.hedging and not held):
            return False
        sign = 1 if leg == "long" else -1
        after = int(held + e["net_qty"])
        return max(-sign * after, 0) <= max(-sign * held, 0)

    def open_side(self, account_id: int, instrument_id: int, buys: bool) -> tuple[int, int]:
        """Quantity and value that live orders of one side may still fill."""
        qty = points = 0
        for order in self.orders.values():
            if (order.account_id, order.instrument_id, order.buys) == (
                account_id,
                instrument_id,
                buys,
            ):
                worst = order.worst(self.venues[order.venue_id].replace_rule)
                qty, points = qty + worst[0], points + worst[1]
        return qty, points

    def sides(self, account_id: int, instrument_id: int) -> tuple[int, int]:
        """Worst long and worst short value of an account in an instrument, at 1e-18."""
        cost = self.position(account_id, instrument_id).open_points
        long = cost + self.open_side(account_id, instrument_id, True)[1]
        return long, self.open_side(account_id, instrument_id, False)[1] - cost

    def money(self, instrument_id: int, points: int) -> int:
        """Points in desk currency at 1e-6, towards zero."""
        instrument = self.instruments[instrument_id]
        rate = self.rates.get(instrument.currency_id, 0)
        size = abs(points) * instrument.multiplier * rate // 10**30
        return -size if points < 0 else size

    def account_sums(self, account_id: int) -> tuple[int, int, int]:
        """Gross, worst long, worst short of an account, desk currency at 1e-6."""
        gross = longs = shorts = 0
        for instrument_id in self.instruments:
            long, short = self.sides(account_id, instrument_id)
            gross_sides = self.gross_sides(account_id, instrument_id)
            gross += self.money(instrument_id, max(*gross_sides, 0))
            longs += self.money(instrument_id, long)
            shorts += self.money(instrument_id, short)
        return gross, longs, shorts

    def children_qty(self, parent: Order) -> int:
        """Add up what children have filled and may still fill."""
        return sum(
            child.cum_qty + child.worst(self.venues[child.venue_id].replace_rule)[0]
            for child in self.orders.values()
            if child.parent_seq == parent.seq
        )

    def parent_left(self, order: Order) -> int | None:
        """Say what a child's parent can still give; None where it has ended or is forgotten."""
        if not order.parent_seq:
            return 1 << 63
        parent = self.orders.get(order.parent_seq)
        return parent.qty - self.children_qty(parent) if parent and parent.live else None

    # Ids and orders ------------------------------------------------------------------------------

    def id_expired(self, entry: Id) -> bool:
        """Say whether an id's TTL ran out: from the end of its order, so never of a live one's."""
        order = self.orders.get(entry.order_seq)
        start = entry.time_ns
        if order is not None:
            if order.live:
                return False
            start = max(order.end_time_ns, start)
        return self.now_ns >= start + self.id_ttl_ns

    def forgotten(self, order: Order) -> bool:
        """Whether the ids of an order may have been forgotten."""
        over = not order.live and self.now_ns >= order.end_time_ns + self.id_ttl_ns
        return over or order.lapsed

    def find_id(self, session_id: int, cl_ord_id: str) -> Id | None:
        """Find what is remembered of an id."""
        entry = self.ids.get((session_id, cl_ord_id))
        return None if entry is None or self.id_expired(entry) else entry

    def target(self, command: Event) -> Order | None:
        """Order that a change names, if its session may know it."""
        seq = command["order_seq"]
        if not seq:
            entry = self.find_id(command["session_id"], command["orig_cl_ord_id"])
            if entry is None or entry.verdict != "accepted":
                return None
            seq = entry.order_seq
        order = self.orders.get(seq)
        return order if order is not None and order.session_id == command["session_id"] else None

    def mode_of(self, **scopes: int) -> str:
        """Strictest kill mode over the scopes of an order."""
        named = [self.modes.get(("desk", 0), "open")]
        named += [self.modes.get((scope, number), "open") for scope, number in scopes.items()]
        return max(named, key=MODES.index)

    def order_mode(self, order: Order) -> str:
        """Strictest kill mode that holds for an order."""
        return self.mode_of(
            account=order.account_id,
            instrument=order.instrument_id,
            venue=order.venue_id,
            session=order.session_id,
            strategy=order.strategy_id,
        )

    # Commands ------------------------------------------------------------------------------------

    def offer(self, terms: Event) -> tuple[str, list[str]]:
        """Keep the terms that a session offers for its next command."""
        if terms["session_id"] not in self.sessions:
            return "session_unknown", self.finish()
        self.offers[terms["session_id"]] = terms
        return "accepted", self.finish()

    def submit(self, command: Event) -> tuple[str, list[str]]:
        """Judge and take a new order: verdict and the kinds of events it leaves."""
        verdict, kinds = self._submit(command)
        return verdict, kinds + self.finish(new_order=True)

    def _submit(self, command: Event) -> tuple[str, list[str]]:
        offer = self.offers.pop(command["session_id"], None)
        fields = tuple(sorted((k, v) for k, v in command.items() if k != "cl_ord_id"))
        body = ("new_order", *fields, *(sorted(offer.items()) if offer else ()))
        answer = self._answered(command, body, entitled_for=command["account_id"])
        if answer is not None:
            return self._refuse_known(answer, "order_refused")
        instrument = self.instruments.get(command["instrument_id"], Instrument())
        venue_id = command["venue_id"] or instrument.venue_id
        buys, price = command["side"] == "buy", command["price"]
        if bool(offer) != command["has_terms"]:
            faults = iter(["terms_missing"])
        elif offer is None:
            if command["ord_type"] == "market":
                price = instrument.collar(buys)
            faults = self._new_order_faults(command, instrument, price, venue_id, False)
            faults = itertools.chain(faults, self.leg_faults(command))
        else:
            price, faults = self._faults_with_terms(command, offer, instrument, venue_id)
        for verdict in faults:
            self._take_id(command, body, 0, verdict)
            return verdict, ["order_refused", "refusal"]
        seq = max(self.orders, default=0) + 1
        terms = {k: v for k, v in command.items() if k not in ("price", "venue_id")}
        event = {"kind": "order_accepted", "order_seq": seq, "price": price, "venue_id": venue_id}
        self.apply(terms | event | {"body": body})
        kinds = ["order_accepted"]
        if offer is not None or command["parent_order_seq"]:
            event = (offer or waiting.NO_TERMS | {"session_id": 0}) | {"kind": "order_terms"}
            if command["ord_type"] == "trailing_stop" and offer is not None:
                event["reference_px"] = waiting.trail_start(instrument, buys, offer["exec_inst"])
                ppm, best_px = "trail_ppm" in offer["exec_inst"], event["reference_px"]
                stop_px = waiting.trailed(instrument, buys, offer["trail"], ppm, best_px)
                event["stop_px"] = stop_px
            if command["ord_type"] == "pegged" and offer is not None:
                twice = pegs.reference(instrument, offer["peg_type"])
                assert twice is not None
                event["reference_px"] = twice // 2 if twice >= 0 else -(-twice // 2)
                event["stop_px"] = command["price"]
            event |= {"order_seq": seq, "parent_order_seq": command["parent_order_seq"]}
            here = self.venues[venue_id].replenishes and "iceberg_here" not in event["exec_inst"]
            self.apply(event | {"shown_qty": 0 if here else event["max_floor"]})
            kinds.append("order_terms")
        if not self.orders[seq].is_here:
            self.apply(self.message(self.orders[seq], "new_order", 0))
            kinds.append("routed")
        return "accepted", kinds

    def message(self, order: Order, msg_type: str, revision: int, **terms: Any) -> Event:
        """Give the message that tells a venue of an order."""
        event: Event = {"kind": "routed", "order_seq": order.seq, "msg_type": msg_type}
        event |= {"revision": revision, "venue_id": order.venue_id, "side": order.side}
        market = msg_type == "new_order" and order.ord_type == "market"
        qty = order.piece.qty if order.piece.partial and msg_type == "new_order" else order.qty
        event |= {"price": 0 if market else order.price, "order_qty": qty}
        ord_type = "limit" if order.ord_type == "pegged" else order.ord_type
        return event | {"ord_type": ord_type, "time_in_force": order.time_in_force} | terms

    def _faults_with_terms(
        self, command: Event, offer: Event, instrument: Instrument, venue_id: int
    ) -> tuple[int | None, Iterator[str]]:
        """Judge the plain order that it is or will be, and its terms behind that."""
        ord_type, held = command["ord_type"], waiting.waits(command, offer)
        probe = command | {"ord_type": waiting.street_type(ord_type)}
        if ord_type not in ("market", "limit", "pegged", *WAIT_FOR_PRICE):
            probe["ord_type"] = ord_type
        if command["time_in_force"] in ("gtd", "at_open", "at_close"):
            probe["time_in_force"] = "day"
        price = command["price"]
        if ord_type == "pegged":
            price = probe["price"] = pegs.first_price(instrument, command, offer)
        if probe["ord_type"] == "market":
            stops = ord_type in WAIT_FOR_PRICE and ord_type != "trailing_stop"
            stop_px = offer["stop_px"] if stops else 0
            price = instrument.collar(command["side"] == "buy", stop_px) if instrument.tick else 0

        def faults() -> Iterator[str]:
            yield from self._new_order_faults(probe, instrument, price, venue_id, held)
            yield from waiting.own_faults(self, command, offer, instrument, venue_id)
            yield from self.leg_faults(command)

        return price, faults()

    def _new_order_faults(
        self, c: Event, instrument: Instrument, price: int | None, venue_id: int, held: bool
    ) -> Iterator[str]:
        """Every check a new order fails, in the order of precedence.

        Price against the market, phase and link concern one that waits here when it leaves.
        """
        buys, market = c["side"] == "buy", c["ord_type"] == "market"
        qty = c["order_qty"]
        mode = self.mode_of(
            account=c["account_id"],
            instrument=c["instrument_id"],
            venue=venue_id,
            session=c["session_id"],
            strategy=c["strategy_id"],
        )
        pair = (c["account_id"], c["instrument_id"])
        effect = c.get("effect", "")
        if mode in ("cancel_only", "halt") or (
            mode == "reduce_only" and not self.reduces(*pair, buys, effect, qty)
        ):
            yield "killed"
        if self.recovering:
            yield "recovering"
        if c["side"] not in ("buy", "sell", "sell_short", "sell_short_exempt"):
            yield "side_unsupported"
        if c["ord_type"] not in ("market", "limit"):
            yield "ord_type_unsupported"
        if c["time_in_force"] not in ("day", "gtc", "ioc", "fok"):
            yield "time_in_force_unsupported"
        if qty <= 0:
            yield "qty_not_positive"
        if not market and c["price"] == 0 and not instrument.negative_prices:
            yield "price_missing"
        if market and c["price"] != 0:
            yield "price_not_allowed"
        if c["account_id"] not in self.accounts:
            yield "account_unknown"
        if c["strategy_id"] not in self.strategies:
            yield "strategy_unknown"
        if venue_id not in self.venues and (c["venue_id"] or instrument.tick):
            yield "venue_unknown"
        if not instrument.tick:
            yield "instrument_unknown"
            return
        if instrument.restricted:
            yield "instrument_restricted"
        if market and instrument.flags & bounds.NO_MARKET:
            yield "market_order_banned"
        yield from bounds.short_fault(self, c, qty)
        yield from self.price_and_qty_faults(instrument, price, qty, market, held)
        if not held:
            yield from self.phase_faults(instrument, venue_id)
        if c["parent_order_seq"]:
            yield from self._parent_faults(c)
        assert price is not None
        yield from self.risk_faults(c, price, qty, abs(price * qty), qty)
        yield from self._throttle_faults(c["session_id"], c["account_id"])
        scopes = ("session", "account", "instrument", "strategy")
        yield from bounds.window_faults(self, {scope: c[f"{scope}_id"] for scope in scopes})
        if ("account", c["account_id"], 0) not in self.limits:
            yield "limits_absent"

    def price_and_qty_faults(
        self,
        instrument: Instrument,
        price: int | None,
        qty: int,
        market: bool,
        held: bool = False,
    ) -> Iterator[str]:
        """Tick, lot and size, and the price against the market unless it waits here."""
        if not market and price is not None:
            if price <= 0 and not instrument.negative_prices:
                yield "price_not_positive"
            if price % instrument.tick:
                yield "price_off_tick"
        if qty % instrument.lot:
            yield "qty_off_lot"
        if qty < instrument.qty_min:
            yield "qty_below_min"
        if qty > instrument.qty_max:
            yield "qty_above_max"
        fault = instrument.reference_fault()
        if price is None or (fault == "reference_absent" and not held):
            yield "reference_absent"  # nothing to judge the price by, or to reserve at
        if held:
            return
        if not instrument.no_band and self.now_ns - instrument.quoted_ns > instrument.age_ns_max:
            yield "reference_stale"
        if fault:
            yield fault
        if price is None or instrument.no_band or NO_PRICE in (instrument.bid, instrument.ask):
            return
        if market:
            return  # it reserves at the edge of the band itself
        if price > instrument.ask + instrument.edge(instrument.ask):
            yield "price_above_band"
        if price < instrument.bid - instrument.edge(instrument.bid):
            yield "price_below_band"

    def phase_faults(self, instrument: Instrument, venue_id: int) -> Iterator[str]:
        """Phase and link of the venue, phase of the instrument."""
        venue = self.venues.get(venue_id, Venue())
        if venue.phase not in PHASES_OPEN or (instrument.phase or "open") not in PHASES_OPEN:
            yield "market_closed"
        if venue.link != "up":
            yield "venue_down"

    def _parent_faults(self, c: Event) -> Iterator[str]:
        parent = self.orders.get(c["parent_order_seq"])
        if parent is None or not parent.is_parent or not parent.live:
            yield "parent_unknown"
            return
        same = (
            parent.account_id == c["account_id"]
            and parent.instrument_id == c["instrument_id"]
            and parent.side == c["side"]
            and parent.strategy_id == c["strategy_id"]
            and parent.session_id == c["session_id"]
            and (parent.effect == c.get("effect", "") or parent.account_id not in self.hedging)
        )
        if not same or c["is_parent"]:
            yield "parent_mismatch"
        if self.children_qty(parent) + max(c["order_qty"], 0) > parent.qty:
            yield "parent_exceeded"

    def reduces(
        self, account_id: int, instrument_id: int, buys: bool, effect: str, qty: int
    ) -> bool:
        """Position, live orders of its side and itself stay between the position and zero.

        Hedging, the position is the leg, and the orders are those that close it.
        """
        if account_id in self.hedging:
            leg = self.leg_of(account_id, buys, effect)
            return effect == "close" and qty <= self.leg_left(account_id, instrument_id, leg)
        return self._nets(account_id, instrument_id, buys, qty)

    def _nets(self, account_id: int, instrument_id: int, buys: bool, qty: int) -> bool:
        """Whether net, live orders of a side and `qty` more stay between net and zero."""
        net = self.position(account_id, instrument_id).net_qty * (1 if buys else -1)
        return net + self.open_side(account_id, instrument_id, buys)[0] + qty <= 0

    def size_faults(self, c: Order | Event, price: int, qty: int) -> Iterator[str]:
        """Fat finger on a whole order: the limits of its account, its cell and its instrument."""
        if isinstance(c, Order):
            account_id, instrument_id = c.account_id, c.instrument_id
        else:
            account_id, instrument_id = c["account_id"], c["instrument_id"]
        own = self.limits.get(("account", account_id, 0), Limits())
        cell = self.limits.get(("account_instrument", account_id, instrument_id), Limits())
        most = own.order_qty_max, cell.order_qty_max
        if qty > min(*most, self.instruments[instrument_id].order_qty_max):
            yield "order_qty_limit"
        points, limits = abs(price * qty), (own.order_notional_max, cell.order_notional_max)
        if self._above(instrument_id, points, *limits):
            yield "order_notional_limit"

    def _above(self, instrument_id: int, points: int, *limits: int) -> bool:
        return any(
            limit != UNLIMITED and self.money(instrument_id, points) > limit * 1_000_000
            for limit in limits
        )

    def risk_faults(
        self, c: Event, price: int, adds_qty: int, adds_points: int, order_qty: int
    ) -> Iterator[str]:
        """Fat finger on the whole order, exposure on what it adds."""
        account_id, instrument_id = c["account_id"], c["instrument_id"]
        buys = c["side"] == "buy"
        own = self.limits.get(("account", account_id, 0), Limits())
        cell = self.limits.get(("account_instrument", account_id, instrument_id), Limits())
        yield from self.size_faults(c, price, order_qty)
        if c.get("is_parent_change"):
            return
        nets = not self._nets(account_id, instrument_id, buys, adds_qty)
        hedges, closes = account_id in self.hedging, c.get("effect", "") == "close"
        grows = not closes if hedges else nets  # a close of a leg adds to no side
        if adds_qty <= 0 and adds_points <= 0:
            return
        net = self.position(account_id, instrument_id).net_qty * (1 if buys else -1)
        net += self.open_side(account_id, instrument_id, buys)[0] + adds_qty
        if nets and net > cell.net_qty_max:
            yield "net_qty_limit"
        side = self.sides(account_id, instrument_id)[0 if buys else 1]
        sides = list(self.gross_sides(account_id, instrument_id))
        gross_old = max(*sides, 0)
        sides[0 if buys else 1] += 0 if hedges and closes else adds_points
        gross_new = max(*sides, 0)
        if grows and self._above(instrument_id, gross_new, cell.gross_notional_max):
            yield "instrument_gross_limit"
        gross, longs, shorts = self.account_sums(account_id)
        worst = longs if buys else shorts
        worst += self.money(instrument_id, side + adds_points) - self.money(instrument_id, side)
        gross += self.money(instrument_id, gross_new) - self.money(instrument_id, gross_old)
        most = (own.net_notional_max, own.gross_notional_max)
        net_bound, gross_bound = (m * 10**6 if m != UNLIMITED else None for m in most)
        if nets and net_bound is not None and worst > net_bound:
            yield "account_net_limit"
        if grows and gross_bound is not None and gross > gross_bound:
            yield "account_gross_limit"
        if not self.reduces(account_id, instrument_id, buys, c.get("effect", ""), adds_qty):
            more = bounds.More(account_id, instrument_id, buys, adds_qty, adds_points, gross_new)
            yield from bounds.sum_faults(self, more)

    def _throttle_faults(self, session_id: int, account_id: int) -> Iterator[str]:
        """No more than so many sends in any window; at its end exactly one leaves it."""
        for scope, number in (("session", session_id), ("account", account_id)):
            row = self.limits.get((scope, number, 0), Limits())
            recent = [
                t for t in self.sends.get((scope, number), []) if t + row.window_ns > self.now_ns
            ]
            if row.orders_max and len(recent) >= row.orders_max:
                yield f"throttle_{scope}"

    def cancel(self, command: Event) -> tuple[str, list[str]]:
        """Judge and take a cancel; limits, phases and throttles never stop one."""
        verdict, kinds = self._cancel(command)
        return verdict, kinds + self.finish()

    def _cancel(self, command: Event) -> tuple[str, list[str]]:
        body = ("cancel_order", command["order_seq"], command["orig_cl_ord_id"])
        answer = self._answered(command, body)
        if answer is not None:
            return self._refuse_known(answer, "change_refused")
        order = self.target(command)
        verdict = "order_unknown" if order is None else self.cancel_fault(order)
        if verdict:
            self._take_id(command, body, order.seq if order else 0, verdict)
            return verdict, ["change_refused", "refusal"]
        assert order is not None
        return "accepted", self.send_cancel(order, command | {"body": body})

    def cancel_fault(self, order: Order) -> str:
        """Tell what stops a cancel; what is here needs no message and ends under any mode."""
        if self.order_mode(order) == "halt" and not order.is_here:
            return "killed"
        if not order.is_here and self.venues[order.venue_id].link == "down":
            return "venue_down"
        if not order.live:
            return "order_closed"
        return "cancel_pending" if order.canceling else ""

    def send_cancel(self, order: Order, asked: Event) -> list[str]:
        """Send one cancel, or end by its event what was never at the venue."""
        event = {
            "kind": "cancel_accepted",
            "order_seq": order.seq,
            "closed": 0,
            "revision": 0 if order.is_here else order.revision_last + 1,
            "session_id": asked.get("session_id", 0),
            "cl_ord_id": asked.get("cl_ord_id", ""),
            "body": asked.get("body", ()),
        }
        if "why" in asked:
            event["why"] = asked["why"]
        if order.is_here:
            own = not event["session_id"] and "why" not in asked
            over = asked.get("why") == "expiry" or (own and waiting.day_over(self, order))
            self.apply(event | {"closed": 2 if over else 1})
            return ["cancel_accepted"]
        self.apply(event)
        self.apply(self.message(order, "cancel", event["revision"]))
        return ["cancel_accepted", "routed"]

    def finish(self, new_order: bool = False) -> list[str]:
        """Do the desk's own work behind an input: legs, cancels asked for, broken sums."""
        kinds = [] if new_order else waiting.work_due(self) + parts.move(self)
        for _ in range(
            SWEEP_CANCELS
        ):  # the oldest first, those among them that one of them asks for
            # What is here ends without a message, under any mode.
            asked = [o for o in self.orders.values() if o.asked]
            ready = [o for o in asked if o.is_here or not (o.again_ns or self.cancel_fault(o))]
            if not ready:
                break
            kinds += self.send_cancel(min(ready, key=lambda o: o.seq), {})
        for seq in list(self.to_ask) if self.may_ask else []:
            order = self.orders[seq]
            if self.venues[order.venue_id].link != "down":
                self.apply(self.message(order, "order_status", order.street_revision))
                kinds.append("routed")
        self.may_ask = False
        return kinds

    def take(self, event: Event) -> list[str]:
        """Take a fact of the host or the market: kinds of the events it leaves."""
        self.moves.clear()
        self.apply(event)
        if event["kind"] == "time_input":
            for order in self.orders.values():
                if order.again_ns <= self.now_ns:
                    order.again_ns = 0
        kinds = [] if event["kind"] in ("quote", "trade", "time_input") else [event["kind"]]
        if event["kind"] == "quote":
            kinds += pegs.reprice(self, event["instrument_id"])
            kinds += waiting.quote_seen(self, event["instrument_id"])
        elif event["kind"] == "trade" and self._believes(event):
            px = event["price"]
            kinds += waiting.price_seen(self, event["instrument_id"], "trade", px, None)
        elif event["kind"] == "time_input":
            kinds += pegs.wake(self) + silence.ask(self) + waiting.run_timers(self)
        elif event["kind"] == "day_change" and event["opened"]:
            self.venues[event["venue_id"]].unjudged = True
        venue = self.venues.get(event.get("venue_id", 0))
        if venue and venue.unjudged and venue.link == "up":
            venue.unjudged = False
            kinds += waiting.recheck(self, event["venue_id"])
        return kinds + self.finish()

    def replace(self, command: Event) -> tuple[str, list[str]]:
        """Judge and take a replace: every check of a new order on what it adds."""
        self.moves.clear()
        verdict, kinds = self._replace(command)
        return verdict, kinds + self.finish()

    def _replace(self, command: Event) -> tuple[str, list[str]]:
        known = self._named(command)
        tagged = command["has_terms"]
        offer = self.offers.pop(command["session_id"], None)
        of_terms = known or tagged or offer is not None
        body = tuple(command[k] for k in ("order_seq", "orig_cl_ord_id", "price", "order_qty"))
        body = ("replace_order", *body, tagged, *(sorted(offer.items()) if offer else ()))
        answer = self._answered(command, body)
        if answer is not None:
            return self._refuse_known(answer, "change_refused")
        order = self.target(command)
        if order is None:
            faults = iter(["order_unknown"])
        elif of_terms:
            faults = self._held_replace_faults(command, order, offer)
        else:
            faults = self.replace_faults(command, order)
        for verdict in faults:
            self._take_id(command, body, order.seq if order else 0, verdict)
            return verdict, ["change_refused", "refusal"]
        assert order is not None
        told = command | {"body": body}
        if order.held:
            assert order.terms is not None
            stop_px = offer["stop_px"] if offer else order.terms.stop_px
            if order.terms.trailing and order.terms.armed:
                stop_px = waiting.stop_now(self, order)
                self.moves[order.seq] = (stop_px, order.terms.best_px, True)
            told |= {"stop_px": stop_px, "price": self._held_price(order, command, offer)}
        return "accepted", self.send_replace(order, told)

    def send_replace(self, order: Order, asked: Event) -> list[str]:
        """Take a replace, and send by what its venue has for one unless the order is here."""
        here = order.is_here
        moves = not here and parts.moves(self, order)
        same = ("session_id", "cl_ord_id", "price", "order_qty", "body", "why")
        event: Event = {"kind": "replace_accepted", "order_seq": order.seq}
        event |= {"revision": 0 if order.held else order.revision_last + 1}
        event |= {"held": int(order.held), "stop_px": asked.get("stop_px", 0)}
        lost = order.held or moves  # no queue holds it, or it leaves the one that does
        event["priority"] = "lost" if lost else self._place(order, asked)
        event |= {name: asked[name] for name in same if name in asked}
        self.apply(event | {"by_cancel": int(moves)})
        if here:
            return ["replace_accepted"]
        if moves:
            self.apply(self.message(order, "cancel", event["revision"] + 1))
            return ["replace_accepted", "routed"]
        terms: Event = {"price": asked["price"], "order_qty": asked["order_qty"]}
        self.apply(self.message(order, "replace", event["revision"], **terms))
        return ["replace_accepted", "routed"]

    def _place(self, order: Order, to: Event) -> str:
        """Say what a replace leaves of the order's place in its venue's queue.

        CME Globex: less quantity alone keeps it, as does elsewhere a price farther from the market.
        """
        rule = self.venues[order.venue_id].queue_rule
        farther = to["price"] <= order.price if order.buys else to["price"] >= order.price
        price_keeps = {"quantity_down": to["price"] == order.price, "away": farther}
        keeps = price_keeps.get(rule, False) and to["order_qty"] <= order.qty
        return "untold" if rule == "untold" else "kept" if keeps else "lost"

    def _named(self, command: Event) -> bool:
        """Whether the order a replace names is held here, whoever asks."""
        seq = command["order_seq"]
        if not seq:
            entry = self.ids.get((command["session_id"], command["orig_cl_ord_id"]))
            seq = entry.order_seq if entry else 0
        return seq in self.orders and self.orders[seq].held

    def _held_price(self, order: Order, c: Event, offer: Event | None) -> int | None:
        """Price at which a replaced held order reserves."""
        assert order.terms is not None
        if waiting.street_type(order.terms.ord_type) == "limit":
            return int(c["price"])
        stop_px = offer["stop_px"] if offer else order.terms.stop_px
        return self.instruments[order.instrument_id].collar(order.buys, stop_px)

    def _child_faults(self, order: Order, qty: int, more: int) -> Iterator[str]:
        """Judge a child that would be of another size by what its parent has left (I10)."""
        left = self.parent_left(order)
        if not order.live or qty <= 0:
            return
        if left is None:
            yield "parent_unknown"
        elif more > max(left, 0):
            yield "parent_exceeded"

    def _held_replace_faults(self, c: Event, order: Order, offer: Event | None) -> Iterator[str]:
        """Every check of a replace of what never left: nothing of it is ever in flight."""
        if c["has_terms"] != (offer is not None):
            yield "terms_missing"
        if order.terms is None or (order.live and not order.held):
            yield "terms_not_allowed"
            return
        instrument, qty = self.instruments[order.instrument_id], c["order_qty"]
        terms, price = order.terms, self._held_price(order, c, offer)
        market = waiting.street_type(terms.ord_type) == "market"
        stop_px = offer["stop_px"] if offer else terms.stop_px
        if self.order_mode(order) != "open":
            yield "killed"
        if self.recovering:
            yield "recovering"
        if qty <= 0:
            yield "qty_not_positive"
        if market and c["price"] != 0:
            yield "price_not_allowed"
        if instrument.restricted:
            yield "instrument_restricted"
        yield from self.price_and_qty_faults(instrument, price, qty, market, held=True)
        assert price is not None
        before = order.worst("")
        adds = (qty - before[0], abs(price * qty) - before[1])
        yield from self._child_faults(order, qty, adds[0])
        risk: Event = {"account_id": order.account_id, "instrument_id": order.instrument_id}
        risk |= {"side": order.side, "effect": order.effect, "is_parent_change": not order.live}
        yield from self.risk_faults(risk, price, *adds, qty)
        yield from self._throttle_faults(order.session_id, order.account_id)
        yield from bounds.window_faults(self, self.windows_of(order))
        if not order.live:
            yield "order_closed"
        if order.asked:
            yield "cancel_pending"
        if (qty, stop_px) == (order.qty, terms.stop_px) and (market or price == order.price):
            yield "unchanged"
        if terms.trailing and stop_px != terms.stop_px:
            yield "terms_not_allowed"
        elif terms.waits_for_price and waiting.stop_px_wrong(instrument, stop_px):
            yield "stop_px_invalid"
        yield from self.leg_faults(order, adds[0])

    def replace_faults(self, c: Event, order: Order) -> Iterator[str]:
        """Every check of a replace of what is at its venue; the desk's own is of what it pegs."""
        instrument, venue = self.instruments[order.instrument_id], self.venues[order.venue_id]
        price, qty = c["price"], c["order_qty"]
        if self.order_mode(order) != "open":
            yield "killed"
        if self.recovering:
            yield "recovering"
        if order.ord_type != "limit" and "why" not in c:
            yield "ord_type_unsupported"
        if qty <= 0:
            yield "qty_not_positive"
        if instrument.restricted:
            yield "instrument_restricted"
        yield from self.price_and_qty_faults(instrument, price, qty, False)
        for fault in self.phase_faults(instrument, order.venue_id):
            if fault != "venue_down" or not order.is_parent:
                yield fault
        before = order.worst(venue.replace_rule)
        change = Change(0, "", price, qty, moves=parts.moves(self, order))
        after = order.worst(venue.replace_rule, change)
        adds = (after[0] - before[0], after[1] - before[1])
        yield from self._child_faults(order, qty, adds[0])
        if order.is_parent and order.cum_qty < qty < self.children_qty(order):
            yield "parent_exceeded"  # at or below what has filled, that is the reason
        risk = {
            "account_id": order.account_id,
            "instrument_id": order.instrument_id,
            "side": order.side,
            "effect": order.effect,
            "is_parent_change": order.is_parent or not order.live,
        }
        yield from self.risk_faults(risk, price, *adds, qty)
        yield from self._throttle_faults(order.session_id, order.account_id)
        yield from bounds.window_faults(self, self.windows_of(order))
        if not order.live:
            yield "order_closed"
        if order.canceling or order.asked:
            yield "cancel_pending"
        if order.replacing:
            yield "replace_pending"
        if qty <= order.cum_qty:
            yield "qty_below_filled"
        if (price, qty) == (order.price, order.qty):
            yield "unchanged"
        if order.unsure:
            yield "outcome_unknown"
        if order.terms:
            inst, left = order.terms.exec_inst, order.leaves_qty
            whose = (order.account_id, order.instrument_id, order.buys, order.effect)
            yield from waiting.exec_inst_faults(self, whose, inst, price, qty - order.cum_qty, left)
        if not order.is_parent:
            yield from self.leg_faults(order, adds[0])

    def mass_cancel(self, command: Event) -> tuple[str, list[str]]:
        """Judge and take a mass cancel: every live order that matches all scopes named."""
        scopes = ("account_id", "instrument_id", "of_session_id", "strategy_id", "venue_id", "side")
        body = ("mass_cancel", *(command[k] for k in scopes))
        answer = self._answered(command, body)
        if answer is not None:
            verdict, kinds = self._refuse_known(answer, "mass_cancel")
            return verdict, kinds + self.finish()
        known = (
            command["account_id"] in self.accounts | {0}
            and command["instrument_id"] in {*self.instruments, 0}
            and command["of_session_id"] in {*self.sessions, 0}
            and command["strategy_id"] in self.strategies
            and command["venue_id"] in {*self.venues, 0}
        )
        verdict = "accepted"
        if self.modes.get(("desk", 0)) == "halt":
            verdict = "killed"
        elif not known:
            verdict = "filter_empty"
        self.apply(command | {"kind": "mass_cancel", "verdict": verdict, "body": body})
        return verdict, ["mass_cancel", *self.finish()]

    def _answered(
        self, command: Event, body: tuple[object, ...], entitled_for: int = 0
    ) -> str | None:
        """Session, entitlement and id, before anything else; the answer, or None to go on."""
        session_id, cl_ord_id = command["session_id"], command["cl_ord_id"]
        if session_id not in self.sessions:
            return "session_unknown"
        if entitled_for and self.sessions[session_id] not in (0, entitled_for):
            return "account_not_entitled"
        if not (1 <= len(cl_ord_id) <= 36 and cl_ord_id.isascii() and cl_ord_id.isprintable()):
            return "cl_ord_id_malformed"
        entry = self.find_id(session_id, cl_ord_id)
        if entry is None:
            return None
        return f"repeated {entry.verdict}" if entry.body == body else "duplicate_id"

    def _refuse_known(self, answer: str, kind: str) -> tuple[str, list[str]]:
        if answer.startswith("repeated "):
            return answer.removeprefix("repeated "), ["command_repeated"]
        return answer, [kind] if kind == "mass_cancel" else [kind, "refusal"]

    def _take_id(
        self, command: Event, body: tuple[object, ...], order_seq: int, verdict: str
    ) -> None:
        if verdict not in NO_ID_TAKEN and command["session_id"]:
            key = (command["session_id"], command["cl_ord_id"])
            self.ids[key] = Id(body, order_seq, verdict, self.now_ns)

    # Reports -------------------------------------------------------------------------------------

    def whose(self, r: Event) -> Order | None:
        """Find the order that a venue's word names."""
        order = self.orders.get(r["street_seq"])
        if (
            order is None
            or order.is_parent
            or r["street_epoch"] != order.epoch
            or r["venue_id"] != order.venue_id
            or r["street_revision"] > order.revision_last
        ):
            order = found.named(self, r)
        return order

    def judge(self, r: Event) -> tuple[Order | None, str]:
        """Say whose a venue's word is and what it is taken for; changes nothing."""
        order = self.whose(r)
        if order is None:
            return None, "unknown_order"
        judge = getattr(self, f"_judge_{r['exec_type']}", None)
        if judge is None or r["cum_qty"] < 0 or r["leaves_qty"] < 0:
            return order, "malformed"
        if (order.held or order.never_left) and r["exec_type"] not in (
            "trade_cancel",
            "trade_correct",
        ):
            return order, "outside_table"  # no venue can know of what never left
        if parts.is_over(order, r) and not r["exec_type"].startswith("trade"):
            return order, "stale"  # a word of what has ended before, or of what never left
        return order, judge(order, r)

    def fill_key(self, order: Order, r: Event) -> tuple[object, ...]:
        """Venue, session day, order and ExecID(17); without one, what tells the fill apart."""
        day = r["trade_day"] or self.day_of(order.venue_id, r["transact_time_ns"])
        return (order.venue_id, day, r["exec_id"] or self.moment(r))

    def moment(self, r: Event) -> tuple[int, ...]:
        """Give what tells a fill apart that has no id."""
        return (r["last_px"], r["last_qty"], r["transact_time_ns"], r["cum_qty"])

    def day_of(self, venue_id: int, time_ns: int) -> int:
        """Trading day of a moment: by the calendar, by what had opened by then, else today's."""
        venue = self.venues[venue_id]
        calendar = venue.was_calendar if time_ns < venue.clock_ns else venue.calendar
        if calendar and time_ns > 0:
            east, rolls = calendar
            minute = time_ns // 60_000_000_000 + east
            return (minute + (1440 - rolls if rolls else 0)) // 1440
        days = [day for opened_ns, day in venue.opened[-8:] if opened_ns <= time_ns]
        return days[-1] if days and time_ns > 0 else venue.day

    def dated(self, order: Order, r: Event) -> bool:
        """Whether a report has a trading day of its own, told or by its time."""
        venue, time_ns = self.venues[order.venue_id], r["transact_time_ns"]
        calendar = venue.was_calendar if time_ns < venue.clock_ns else venue.calendar
        opened = any(opened_ns <= time_ns for opened_ns, _ in venue.opened[-8:])
        return bool(r["trade_day"] or (time_ns > 0 and (calendar or opened)))

    def told_any_day(self, order: Order, r: Event) -> bool:
        """Whether its id was told with the same price and quantity on whatever day."""
        wanted, told = r["exec_id"] or self.moment(r), (r["last_px"], r["last_qty"])
        keys = [(key, fill.told) for key, fill in order.fills.items()]
        keys += [(key, other[1]) for key, other in order.others.items()]
        return any(key[2] == wanted and said == told for key, said in keys)

    def told_under(self, order: Order, key: tuple[object, ...]) -> tuple[object, ...] | None:
        """Find what was told under an id before, None for an id that is new."""
        if key in order.fills:
            return order.fills[key].told
        return order.others[key][1] if key in order.others else None

    def same_fill(self, order: Order, r: Event) -> tuple[object, ...] | None:
        """Find the fill we have that this one is under another id, or with none."""
        moment, matches, copy = self.moment(r), r.get("match_ids", ()), r.get("drop_copy", False)
        others = {  # told by the other of the two, saying the same, now or at first
            key: fill
            for key, fill in order.fills.items()
            if fill.copied != copy and not fill.matched
            if moment[:2] in (fill.told, (fill.px, fill.qty))
        }
        for key, fill in others.items():
            if set(matches) & set(fill.match_ids):
                return key
        for key, fill in others.items():
            if key[2] in matches if copy else r["exec_id"] in fill.match_ids:
                return key
        for key, fill in others.items():  # only one of the two names its matches
            if (matches and not fill.match_ids) if copy else not matches:
                return key
        for key, fill in order.fills.items():
            if not r["exec_id"] and (*fill.told, *fill.moment) == moment:
                return key
            fresh = not fill.has_id and not fill.matched
            if r["exec_id"] and fresh and key[2] == moment:
                return key
        return None

    def _judge_trade(self, order: Order, r: Event) -> str:
        qty, px = r["last_qty"], r["last_px"]
        if qty <= 0 or (px <= 0 and not self.instruments[order.instrument_id].negative_prices):
            return "malformed"
        known = self.told_under(order, self.fill_key(order, r))
        if known is not None:
            return "duplicate" if known == (px, qty) else "conflict"
        if versions.superseded(self, order, r):
            return "stale"
        if r.get("again") and not self.dated(order, r) and self.told_any_day(order, r):
            return "duplicate"
        if self.same_fill(order, r) is not None:
            return "reconciled"
        if r.get("drop_copy") and not r.get("match_ids"):
            return "gap"  # under an id of its own and without a match it proves nothing
        change = order.replacing
        most = max(0 if change and change.gone else order.qty, change.qty if change else 0)
        if order.cum_qty + qty > most or parts.beyond_part(order, r):
            return "overfill"
        piece = order.pieces.get(r["street_revision"])
        fresh = order.live and order.aside != "done_for_day" and not (piece and piece.over)
        return "applied" if fresh else "late"

    def amended(self, order: Order, r: Event) -> tuple[object, ...] | None:
        """Find the fill a bust or correct means: of its own day, else the latest of that id."""
        wanted = r.get("exec_ref_id") or r["exec_id"]
        own_day = self.fill_key(order, r)[1]
        keys = [(key, key) for key in order.fills]
        keys += [(key, of) for key, (of, _) in order.others.items()]
        ages = {key: age for age, key in enumerate(order.fills)}
        found = [(key[1] == own_day, ages[of], of) for key, of in keys if key[2] == wanted]
        return max(found, key=lambda f: f[:2])[2] if wanted and found else None

    def _judge_trade_cancel(self, order: Order, r: Event) -> str:
        correct = r["exec_type"] == "trade_correct"
        px, qty = r["last_px"], r["last_qty"]
        ref, own = r.get("exec_ref_id", ""), r["exec_id"]
        if ref and own:
            told = self.told_under(order, self.fill_key(order, r))
            if told == ("amends", px, qty):
                return "duplicate"
            if told is not None and ref != own:
                return "conflict"
        key = self.amended(order, r)
        if key is None:
            return "unknown_exec"
        fill = order.fills[key]
        negative_fine = self.instruments[order.instrument_id].negative_prices
        if correct and (qty <= 0 or (px <= 0 and not negative_fine)):
            return "malformed"
        if correct and not fill.busted and (fill.px, fill.qty, fill.fee) == (px, qty, r["fee"]):
            return "duplicate"
        if fill.busted:
            return "unknown_exec" if correct else "duplicate"
        if correct and order.cum_qty - fill.qty + qty > order.qty:
            return "overfill"
        return "applied" if order.live else "late"

    _judge_trade_correct = _judge_trade_cancel

    def renews(self, order: Order, r: Event) -> bool:
        """Whether a word is newer than the one that set the order aside, and says so by itself."""
        newer = bool(order.aside) and r["transact_time_ns"] > order.aside_ns
        if r["exec_type"] != "order_status":
            return newer
        told = r["ord_status"] in ("new", "partially_filled")
        return newer and told and not (order.unsure and self.settles(r))

    def _judge_suspended(self, order: Order, r: Event) -> str:
        if not order.live:
            return "stale"
        strictest = ("", *ASIDE)
        new = strictest.index(r["exec_type"]) > strictest.index(order.aside)
        if not order.aside and 0 < r["transact_time_ns"] < order.aside_ns:
            return "stale"  # older than the word that renewed it
        return "applied" if new else "stale"

    _judge_stopped = _judge_done_for_day = _judge_suspended

    def _judge_calculated(self, order: Order, r: Event) -> str:
        if order.live and parts.told_cum(order, r) > order.cum_qty:
            return "gap"
        if order.beyond:
            return "overfill"
        return "stale" if order.ended in ("rejected", "calculated") else "applied"

    def restated(self, order: Order, r: Event) -> tuple[object, ...]:
        """Price, quantity, whether renewed and whether open again by the venue's terms.

        A quantity below what is filled is amended to it (FIX 4.4 vol. 4, C.3.c). The venue speaks
        of what it has: of a part alone, or of all that was left by what had filled before.
        """
        piece = order.piece
        price, counted = r["last_px"] or order.price, max(r["last_qty"], 0)
        reason = r.get("reason", "none")
        if not counted and reason == "qty_decline":
            counted = r["cum_qty"] + r["leaves_qty"]  # what the venue still has of it
        told = counted > 0 and not piece.partial
        before = order.cum_qty - order.filled_of(piece) if piece.own_sum else 0
        qty = max(counted + before, order.cum_qty) if told else order.qty
        fresh = r["ord_status"] in ("new", "partially_filled") or reason == "gt_renewal"
        opens = not order.live and r["leaves_qty"] > 0 and qty > order.cum_qty
        return price, qty, order.live and fresh, opens

    def _judge_restated(self, order: Order, r: Event) -> str:
        if r["ord_status"] in ("canceled", "expired") or parts.says_over(r):
            return self._judge_canceled(order, r)
        price, qty, fresh, opens = self.restated(order, r)
        assert isinstance(price, int)
        assert isinstance(qty, int)
        if r.get("reason") == "qty_decline" and qty > order.qty:
            return "malformed"  # a decline adds nothing
        if price <= 0 and not self.instruments[order.instrument_id].negative_prices:
            return "malformed"
        renewed = fresh and (not order.known or order.aside)
        if (price, qty) == (order.price, order.qty) and not renewed and not opens:
            return "stale"
        return "applied" if order.live else "late"

    def second_self(self, order: Order, r: Event) -> bool:
        """Whether the venue works a replace that came to nothing for us, as an order of its own."""
        renames = self.venues[order.venue_id].replace_rule == "modify_new"
        return renames and not parts.moves(self, order) and order.gave_up(r["street_revision"])

    def _judge_new(self, order: Order, r: Event) -> str:
        if self.second_self(order, r):
            return "outside_table"
        if self.renews(order, r):
            return "applied"
        if order.bound_by(r["street_revision"]):
            return "applied"
        return "applied" if order.live and not order.known else "stale"

    def _judge_pending_new(self, order: Order, r: Event) -> str:
        return "stale"

    def _judge_canceled(self, order: Order, r: Event) -> str:
        if parts.proves_end(order, r):
            return "applied"
        if order.beyond and not order.proves_replace(r["street_revision"]):
            return "overfill"
        return "applied" if order.live else "stale"

    _judge_expired = _judge_canceled

    def _judge_rejected(self, order: Order, r: Event) -> str:
        if order.beyond and not parts.was_replaced(order, r):
            return "overfill"
        if order.unproved:
            return "move_lost"  # what it was has ended before
        return "applied" if order.live else "stale"

    def _judge_replaced(self, order: Order, r: Event) -> str:
        last = order.last_replace
        if order.ended == "filled" and last is not None and r["exec_type"] == "replaced":
            newer = r["street_revision"] == last.revision > order.revision
            if not newer or last.qty <= min(order.qty, order.cum_qty):
                return "stale"
            return "late" if last.qty > order.cum_qty else "applied"
        if order.proves_replace(r["street_revision"]):
            return "applied"
        return "outside_table" if order.gave_up(r["street_revision"]) else "stale"

    def _judge_replace_rejected(self, order: Order, r: Event) -> str:
        if order.unproved:
            return self._judge_rejected(order, r)
        change = order.replacing
        if change is None or r["street_revision"] not in (change.revision, change.cancel_revision):
            return "stale"
        return "overfill" if order.beyond else "applied"

    def _judge_cancel_rejected(self, order: Order, r: Event) -> str:
        answers = order.canceling and order.canceling.revision == r["street_revision"]
        change = order.replacing
        if change and not change.gone and change.cancel_revision == r["street_revision"]:
            return "overfill" if order.beyond else "applied"
        return "applied" if answers else "stale"

    def _judge_unknown_order(self, order: Order, r: Event) -> str:
        """Believe that the venue never had it only while nothing else was heard of it."""
        if order.unproved and order.unsure and order.proves_replace(r["street_revision"]):
            return self._judge_rejected(order, r)
        if order.status == "unknown" and not order.known:
            return "applied"
        return "outside_table"

    def _judge_order_status(self, order: Order, r: Event) -> str:
        told = r["ord_status"]
        if told == "pending_new":
            return "stale"
        if told == "calculated":
            return self._judge_calculated(order, r)
        if told not in LIVE_WORDS + ENDED_WORDS:
            return "malformed"
        if told in LIVE_WORDS and self.second_self(order, r):
            return "outside_table"
        if parts.found_working(order, r):
            return "late"
        if self.renews(order, r):
            return "applied"
        if parts.proves_end(order, r):
            return "applied"  # what it becomes waits for the fills that are missing
        if order.live and self.lacks_fills(order, r):
            return "gap"  # a break: the fills are asked for before anything closes
        if told == "rejected":
            return self._judge_rejected(order, r)
        if told in ENDED_WORDS:
            return self._judge_canceled(order, r)
        if (
            self.settles(r)
            and order.unsure
            and order.beyond
            and not order.proves_replace(r["street_revision"])
        ):
            return "overfill"
        decides = order.unsure and self.settles(r)
        news = decides or not order.known or order.bound_by(r["street_revision"])
        return "applied" if order.live and news else "stale"

    def lacks_fills(self, order: Order, r: Event) -> bool:
        """Whether a status counts fills that we lack, or says filled of what no sum fills."""
        told = parts.told_cum(order, r)
        whole = min(order.qty, order.replacing.qty) if order.replacing else order.qty
        agrees = r["cum_qty"] > 0 and told == order.cum_qty
        short = r["ord_status"] == "filled" and order.cum_qty < whole and not agrees
        return told > order.cum_qty or short

    def settles(self, r: Event) -> bool:
        """Whether a live status decides what is in flight: not one told anew, or still deciding."""
        return not (r.get("again") or r["ord_status"] in ("pending_cancel", "pending_replace"))

    def offer_foreign(self, f: Event) -> tuple[str, list[str]]:
        """Keep what a venue says of an order until its next report comes."""
        if f["venue_id"] not in self.venues:
            return "venue_unknown", self.finish()
        self.offered[f["venue_id"]] = f
        return "accepted", self.finish()

    def report(self, r: Event) -> tuple[str, list[str]]:
        """Take a venue's word: its disposition and the kinds of events."""
        offered = r.get("has_refs", False) and r["venue_id"] in self.venues
        before = self.finish() if r.get("has_refs") else []  # the ids are an input of their own
        told, r = r, versions.corrected(self, r)
        foreign = self.offered.pop(r["venue_id"], None)
        if foreign and foreign["street_id"] == r.get("street_id") and self.judge(r)[0] is None:
            self.apply(found.found(self, foreign, r))
            before.append("foreign_order")
        order, disposition = self.judge(r)
        seq = order.seq if order else 0
        event = r | {"kind": "execution_report", "order_seq": seq, "disposition": disposition}
        kinds = ["exec_ref"] * (offered or r is not told) + ["execution_report"]
        split = self.split(event)
        self.apply(event)
        if split is not None:
            self.apply(split | {"kind": "position_split"})
            kinds.append("position_split")
        return disposition, [*before, *kinds]

    def split(self, e: Event) -> Event | None:
        """Tell of a fill through zero, or of one that closes more of a leg than there is."""
        order = self.orders.get(e["order_seq"])
        booked = e["disposition"] in ("applied", "late", "overfill")
        if order is None or not booked or e["exec_type"] != "trade":
            return None
        leg = self.leg_of(order.account_id, order.buys, order.effect)
        position = self.leg(order.account_id, order.instrument_id, leg)
        signed = e["last_qty"] if order.buys else -e["last_qty"]
        parts = position.split(Booking(signed, e["last_px"], e["fee"]))
        sign = {"net": 0, "long": 1, "short": -1}[leg]
        after = position.net_qty + signed
        over = max(-sign * after, 0) > max(-sign * position.net_qty, 0)
        if parts is None and not over:
            return None
        parts = parts or Split(0, e["last_qty"], 0, e["fee"], 0)
        told = {name: getattr(parts, name) for name in Split.__dataclass_fields__}
        more = {"position_leg": leg, "over_close": int(over), "last_px": e["last_px"]}
        return told | more | {"exec_id": e["exec_id"], "order_seq": order.seq}

    # The fold ------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Fold one event: the only writer of state."""
        self.now_ns = max(self.now_ns, event.get("time_ns", 0))
        self.applied.append(event)
        fold_one = getattr(self, f"_apply_{event['kind']}", None)
        order = self.orders.get(event.get("order_seq", 0))
        was_canceling = order.canceling if order else None
        if fold_one is not None:
            fold_one(event)
        if order and order.asked:
            self._pace(order, was_canceling)
        if order := self.orders.get(event.get("order_seq", 0)):
            if order.vacant and order.seq not in self.vacated:
                self.vacated.append(order.seq)
            elif not order.vacant and order.seq in self.vacated:
                self.vacated.remove(order.seq)

    def _pace(self, order: Order, was_canceling: Change | None) -> None:
        """Wait, twice as long each time, before a cancel of the desk's own is sent once more."""
        if order.canceling:
            order.again_ns = 0
        elif was_canceling and order.tries:
            due_ns = self.now_ns + (CANCEL_AGAIN_NS << min(order.tries - 1, 7))
            order.again_ns = (due_ns // CANCEL_AGAIN_NS + 1) * CANCEL_AGAIN_NS

    def _try_at_once(self, wanted: Any = lambda _: True) -> None:
        """Something new has happened: what was refused may do better now."""
        self.may_ask = True
        for order in self.orders.values():
            if order.asked and not order.canceling and wanted(order):
                order.tries = order.again_ns = 0

    def _apply_order_accepted(self, e: Event) -> None:
        order = Order(
            seq=e["order_seq"],
            cl_ord_id=e["cl_ord_id"],
            session_id=e["session_id"],
            account_id=e["account_id"],
            instrument_id=e["instrument_id"],
            venue_id=e["venue_id"],
            strategy_id=e["strategy_id"],
            side=e["side"],
            ord_type=e["ord_type"],
            time_in_force=e["time_in_force"],
            price=e["price"],
            qty=e["order_qty"],
            epoch=self.epoch,
            effect=e.get("effect", ""),
            is_parent=e["is_parent"],
            terms=Terms(e["ord_type"]) if e["has_terms"] else None,
        )
        order.pieces[0] = order.piece
        self.orders[order.seq] = order
        self._take_id(e, e.get("body", ()), order.seq, "accepted")
        self._count_send(order)

    def _apply_foreign_order(self, e: Event) -> None:
        """Make an order of what was found: as if accepted, with no session and no message."""
        if not e["order_seq"]:
            return
        order = Order(
            seq=e["order_seq"],
            cl_ord_id=e["street_id"],
            session_id=0,
            strategy_id=0,
            qty=e["order_qty"],
            epoch=self.epoch,
            **{name: e[name] for name in found.SAME},
        )
        order.pieces[0] = order.piece
        self.orders[order.seq] = order
        silence.sent(self, order, 0)
        self.ids[found.key_of(e)] = Id((), order.seq, "accepted", self.now_ns)
        order.asked = self.order_mode(order) in ("cancel_only", "halt")

    @staticmethod
    def windows_of(order: Order) -> dict[str, int]:
        """Scopes whose windows an order's messages count in."""
        return {
            "session": order.session_id,
            "account": order.account_id,
            "instrument": order.instrument_id,
            "strategy": order.strategy_id,
        }

    def _count_send(self, order: Order) -> None:
        # A window begins with the first limit on it: nothing is remembered of what none bounds.
        for scope, number in self.windows_of(order).items():
            row = self.limits.get((scope, number, 0), Limits())
            if row.orders_max:
                self.sends.setdefault((scope, number), []).append(self.now_ns)
            if row.minute_orders_max:
                self.sends.setdefault((f"{scope}'s minute", number), []).append(self.now_ns)

    def _apply_order_terms(self, e: Event) -> None:
        order = self.orders[e["order_seq"]]
        order.parent_seq = e["parent_order_seq"]
        if order.parent_seq:
            self.orders[order.parent_seq].children.append(order)
        terms = order.terms
        if terms is None:
            return
        terms.stop_px, terms.trail, terms.best_px = e["stop_px"], e["trail"], e["reference_px"]
        terms.expire_time_ns = terms.timer_ns = e["expire_time_ns"]
        terms.expire_day, terms.exec_inst = e["expire_day"], e["exec_inst"]
        terms.peg, terms.peg_offset, terms.pegged_ns = e["peg_type"], e["peg_offset"], self.now_ns
        terms.contingency, terms.group_seq = e["contingency"], e["group_seq"]
        is_child = terms.is_child
        order.held = terms.waits_for_price or is_child
        order.shown_qty = e["shown_qty"]
        if not order.held:
            order.show(e["shown_qty"])
        if terms.contingency != "none":
            terms.group_seq = terms.group_seq or order.seq  # the first leg names the group
        if order.held and not is_child and not waiting.rival_has_left(self, order):
            self._arm(terms)

    def _arm(self, terms: Terms) -> None:
        terms.armed, terms.logged_ns = True, self.now_ns

    def _apply_triggered(self, e: Event) -> None:
        order = self.orders[e["order_seq"]]
        terms = order.terms
        assert terms is not None
        assert order.held
        terms.armed = terms.due = False
        terms.stop_px, terms.best_px = e["stop_px"], e["mark_px"]
        order.price, order.qty = e["price"], e["order_qty"]
        if e["outcome"] == "armed":
            self._arm(terms)
        elif e["outcome"] == "released":
            order.held, order.ord_type = False, e["ord_type"]
            order.show(e["shown_qty"])
            waiting.disarm_rivals(self, order)
        else:
            order.end("rejected", self.now_ns)
            waiting.follow(self, order, was_live=True, filled=False)

    def _apply_moved(self, e: Event) -> None:
        order = self.orders[e["order_seq"]]
        assert order.vacant
        assert order.replacing is not None
        if e["outcome"] == "released":
            left = order.replacing.qty - order.cum_qty
            part = Piece(e["order_qty"], e["order_qty"] < left, own_sum=True)
            order.arrive(part)
        else:
            order.end("canceled", self.now_ns)
            waiting.follow(self, order, was_live=True, filled=False)

    def _apply_trail_moved(self, e: Event) -> None:
        terms = self.orders[e["order_seq"]].terms
        assert terms is not None
        assert terms.armed
        terms.stop_px, terms.best_px, terms.logged_ns = e["stop_px"], e["mark_px"], self.now_ns

    def _apply_group_flagged(self, e: Event) -> None:
        terms = self.orders[e["order_seq"]].terms
        assert terms is not None
        terms.raced_with, terms.flagged = 0, True

    def _apply_routed(self, e: Event) -> None:
        if e.get("msg_type") == "order_status" and e["order_seq"] in self.to_ask:
            self.to_ask.remove(e["order_seq"])
        if order := self.orders.get(e["order_seq"]):
            order.revision_last = max(order.revision_last, e["revision"])
            if e["msg_type"] != "order_status":
                silence.sent(self, order, e["revision"])
            if e["msg_type"] in ("cancel", "replace"):
                order.pieces.setdefault(e["revision"], order.piece)

    def _apply_order_refused(self, e: Event) -> None:
        self._take_id(e, e.get("body", ()), 0, e["verdict"])

    def _apply_change_refused(self, e: Event) -> None:
        self._take_id(e, e.get("body", ()), e["order_seq"], e["verdict"])

    def _apply_cancel_accepted(self, e: Event) -> None:
        order = self.orders[e["order_seq"]]
        order.tries += order.asked and not e["session_id"]
        self._take_id(e, e.get("body", ()), order.seq, "accepted")
        if e["closed"]:
            order.end("expired" if e["closed"] == 2 else "canceled", self.now_ns)
            waiting.follow(self, order, was_live=True, filled=False)
            self._ask(lambda child: child.parent_seq == order.seq)
            return
        order.canceling = Change(e["revision"])
        if e.get("why") == "expiry" and order.terms:
            # Should it fail, it is asked for once more, after twice as long each time.
            order.terms.timer_ns = self.now_ns + (ONE << min(e["revision"] - 1, 12))

    def _apply_replace_accepted(self, e: Event) -> None:
        order = self.orders[e["order_seq"]]
        self._take_id(e, e.get("body", ()), order.seq, "accepted")
        if order.is_here:
            order.price, order.qty, order.cl_ord_id = e["price"], e["order_qty"], e["cl_ord_id"]
            if order.terms:
                order.terms.stop_px = e["stop_px"]
                order.terms.logged_ns = self.now_ns
        else:
            own = e["cl_ord_id"] or order.cl_ord_id  # the desk's replace has none
            order.replacing = Change(e["revision"], own, e["price"], e["order_qty"])
            if e.get("why") == "peg" and order.terms:
                order.terms.pegged_ns = self.now_ns
            order.last_replace = order.replacing
            if e["by_cancel"]:
                order.replacing.moves, order.replacing.sent = True, False
                order.last_replace, order.revision_last = None, e["revision"] + 1
            rule = self.venues[order.venue_id].replace_rule
            order.replacing.renames = rule == "modify_new"
        self._count_send(order)

    def _ask(self, wanted: Any) -> None:
        for order in self.orders.values():
            if order.live and wanted(order):
                order.asked, order.tries, order.again_ns = True, 0, 0
                if order.terms:
                    order.terms.armed = False  # no price releases it any more

    def _apply_mass_cancel(self, e: Event) -> None:
        self._take_id(e, e.get("body", ()), 0, e["verdict"])
        if e["verdict"] != "accepted":
            return
        entitled = self.sessions[e["session_id"]]
        self._ask(
            lambda order: (
                entitled in (0, order.account_id)
                and e["account_id"] in (0, order.account_id)
                and e["instrument_id"] in (0, order.instrument_id)
                and e["of_session_id"] in (0, order.session_id)
                and e["strategy_id"] in (0, order.strategy_id)
                and e["venue_id"] in (0, order.venue_id)
                and (not e["side"] or (e["side"] == "buy") == order.buys)
            )
        )

    def _apply_control(self, e: Event) -> None:
        scope, number = e["scope"], e["target_id"] if e["scope"] != "desk" else 0
        self.modes[scope, number] = e["mode"]
        self._try_at_once()
        if e["mode"] in ("cancel_only", "halt"):
            self._ask(lambda order: scope == "desk" or getattr(order, f"{scope}_id") == number)

    def _apply_dropped_unsent(self, e: Event) -> None:
        """Never sent: our own refusal is the evidence (DESIGN §5)."""
        if e["msg_type"] == "order_status":
            asked = self.orders.get(e["order_seq"])
            if asked is not None and asked.owes:
                self._ask_about(asked, later=True)
            else:
                self._forget_breaks(e["order_seq"])  # never asked
            return
        order, was_live = self.orders[e["order_seq"]], self.orders[e["order_seq"]].live
        if e["msg_type"] == "new_order" and order.live:
            order.end("canceled", self.now_ns)
        elif e["msg_type"] == "cancel" and order.replacing and not order.canceling:
            if order.replacing.moves and not order.replacing.gone:
                order.refuse_replace()
        elif e["msg_type"] == "cancel":
            order.canceling = None
        elif e["msg_type"] == "replace":
            order.refuse_replace()
        order.settle(self.now_ns)
        waiting.follow(self, order, was_live, filled=False)

    def may_drop(self, e: Event) -> bool:
        """Whether a message can still have been held back."""
        order = self.orders.get(e["order_seq"])
        if e["msg_type"] == "order_status":
            return True  # a question changes nothing, asked or not
        if order is None or e["msg_type"] not in ("new_order", "cancel", "replace"):
            return False
        if order.held:
            return False
        return not (
            e["msg_type"] == "new_order"
            and order.live
            and (order.known or order.is_parent)
            and not order.unproved
        )

    def may_lose(self, seq: int) -> bool:
        """Whether an outcome can be lost: something was sent and not answered."""
        order = self.orders.get(seq)
        pending = ("pending_new", "pending_cancel", "pending_replace")
        return order is not None and order.status in pending and not order.vacant

    def _apply_outcome_unknown(self, e: Event) -> None:
        self.orders[e["order_seq"]].unsure = True

    def _apply_link_change(self, e: Event) -> None:
        self.venues[e["venue_id"]].link = e["state"]
        self._try_at_once()

    def _apply_phase_change(self, e: Event) -> None:
        number = e["instrument_id"]
        place = self.instruments[number] if number else self.venues[e["venue_id"]]
        if place.phase != e["phase"]:
            self._try_at_once(
                lambda order: order.venue_id == e["venue_id"] and number in (0, order.instrument_id)
            )
        place.phase = e["phase"]

    def _apply_day_change(self, e: Event) -> None:
        venue = self.venues[e["venue_id"]]
        if e["opened"]:
            venue.day, venue.closed = e["trade_day"], False
            if not venue.opened or venue.opened[-1][1] != e["trade_day"]:
                venue.opened.append((self.now_ns, e["trade_day"]))
        elif e["trade_day"] in (0, venue.day) or venue.day == 0:
            if not venue.closed:
                venue.closed_seq = max(self.orders, default=0) + 1
            venue.closed, venue.unjudged = True, False
            waiting.end_day(self, e)

    def expire(self, order: Order) -> None:
        """End an order as its venue's day does."""
        self._take_expired(order, {"exec_type": "expired"})

    def _apply_desk_state(self, e: Event) -> None:
        self.recovering = bool(e["recovering"])
        self._try_at_once()

    def _apply_epoch_started(self, e: Event) -> None:
        self.epoch = e["epoch"]
        self.awaited.clear()  # what was in flight is in doubt
        self.staged.clear()  # limits that no activation followed

    def _apply_definition(self, e: Event) -> None:
        number = e["id"]
        if e["entity"] == "account":
            self.accounts.add(number)
            self.parents[number] = e.get("parent_id", 0)
            self.hedging.discard(number)
            if e.get("hedging"):
                self.hedging.add(number)
                self.hedged.add(number)
        elif e["entity"] == "strategy":
            self.strategies.add(number)
        elif e["entity"] == "session":
            self.sessions[number] = e["parent_id"]
        elif e["entity"] == "venue":
            known = number in self.venues
            venue = self.venues.setdefault(number, Venue())
            venue.replace_rule, venue.queue_rule = e["replace_rule"], e["queue_rule"]
            venue.answer_s = e.get("answer_s", 0)
            venue.replenishes, venue.adopts = bool(e.get("flags", 0) & 8), e["parent_id"]
            venue.versions = bool(e.get("flags", 0) & 16)
            told = (e["utc_offset_min"], e["day_roll_min"]) if e.get("flags", 0) & 2 else None
            if known and told != venue.calendar:
                venue.clock_ns, venue.was_calendar = self.now_ns, venue.calendar
            venue.calendar = told

    def _apply_instrument_terms(self, e: Event) -> None:
        row = self.instruments.setdefault(e["instrument_id"], Instrument())
        row.venue_id, row.currency_id = e["venue_id"], e["currency_id"]
        row.tick, row.lot, row.band = e["tick"], e["lot"], e["band"]
        row.qty_min, row.qty_max = e["qty_min"], e["qty_max"]
        row.multiplier = e["contract_multiplier"]
        row.age_ns_max = e["reference_age_ms_max"] * 1_000_000
        row.restricted, row.band_ppm = bool(e["flags"] & 1), bool(e["flags"] & 2)
        row.negative_prices, row.no_band = bool(e["flags"] & 4), bool(e["flags"] & 8)
        row.locked_fine = bool(e["flags"] & 16)
        row.flags, row.margin = e["flags"], e.get("margin", 0)
        row.sector_id = e.get("sector_id", 0)
        own = self.limits.get(("instrument", e["instrument_id"], 0), Limits())
        row.order_qty_max = own.order_qty_max  # new terms take no limit away

    def _apply_quote(self, e: Event) -> None:
        row = self.instruments[e["instrument_id"]]
        row.bid, row.ask, row.quoted_ns = e["bid_px"], e["ask_px"], self.now_ns

    def _believes(self, e: Event) -> bool:
        """Whether a print is a price of this market: one far from best bid and offer is not."""
        row, px = self.instruments[e["instrument_id"]], e["price"]
        if row.no_band or row.reference_fault():
            return row.is_price(px)
        low, high = row.bid - row.edge(row.bid), row.ask + row.edge(row.ask)
        return row.is_price(px) and low <= px <= high

    def _apply_trade(self, e: Event) -> None:
        if self._believes(e):
            self.instruments[e["instrument_id"]].last_px = e["price"]

    def _apply_rate(self, e: Event) -> None:
        self.rates[e["currency_id"]] = e["rate"]

    def _apply_limit_row(self, e: Event) -> None:
        self.staged.append(e)

    def _apply_limits_activated(self, e: Event) -> None:
        names = Limits.__dataclass_fields__
        for row in self.staged:
            limits = Limits(**{name: row[name] for name in names if name in row})
            if row["scope"] == "instrument":
                self.limits["instrument", row["instrument_id"], 0] = limits
                self.instruments[row["instrument_id"]].order_qty_max = limits.order_qty_max
            elif row["scope"] == "account_instrument":
                self.limits["account_instrument", row["account_id"], row["instrument_id"]] = limits
            else:
                field = "account_id" if row["scope"] == "account" else "entity_id"
                self.limits[row["scope"], row.get(field, 0), 0] = limits
        self.staged.clear()

    def _apply_position_adjusted(self, e: Event) -> None:
        leg = e.get("position_leg", "net")
        booking = Booking(e["net_qty"], e["price"], is_fill=False, leg=leg)
        pair = (e["account_id"], e["instrument_id"])
        self.bookings.setdefault(pair, []).append(booking)
        waiting.follow_reducing(self, *pair)

    _apply_leg_adjusted = _apply_position_adjusted

    def _apply_execution_report(self, e: Event) -> None:
        order = self.orders.get(e["order_seq"])
        if order is None:
            return
        if e["disposition"] in BOOKED:
            was_live, order.lapsed = order.live, self.forgotten(order)
            left = order.leaves_qty
            getattr(self, f"_take_{e['exec_type']}")(order, e)
            order.settle(self.now_ns)
            if order.parent_seq in self.orders:
                self._roll_up(self.orders[order.parent_seq])
            if order.live and not was_live:
                self._came_back(order)
            waiting.follow(self, order, was_live, filled=e["exec_type"] == "trade")
            if e["exec_type"] in ("trade_cancel", "trade_correct"):
                waiting.undo_due(self, order)
            if e["exec_type"].startswith("trade_c") or order.leaves_qty > left:
                waiting.follow_reducing(self, order.account_id, order.instrument_id)
        elif e["disposition"] == "reconciled":
            key = self.same_fill(order, e)
            assert key is not None
            order.fills[key].matched = True
            order.others[self.fill_key(order, e)] = (key, (e["last_px"], e["last_qty"]))
        elif e["disposition"] not in ("gap", "stale", "conflict"):
            return
        self._compare_sums(order, e)
        self._compare_words(order, e)

    def _roll_up(self, parent: Order) -> None:
        """Let the fills of its children decide whether a parent is filled (REQUIREMENTS §1).

        Filled comes before canceled (precedence); taken back, an end that only fills had made is
        undone. What overfilled children leave open of others is not wanted any more.
        """
        parent.lapsed = self.forgotten(parent)
        whole, filled = parent.cum_qty >= parent.qty, parent.ended == "filled"
        if whole and parent.live:
            parent.end("filled", self.now_ns)
            if self.children_qty(parent) > parent.cum_qty:
                self._ask(lambda child: child.parent_seq == parent.seq)
        elif whole and not filled:
            parent.ended_before, parent.ended = parent.ended, "filled"
        elif filled and not whole and parent.ended_before:
            parent.ended, parent.ended_before = parent.ended_before, ""
        elif filled and not whole:
            parent.reopen()
            self._came_back(parent)

    def _came_back(self, order: Order) -> None:
        """Stop an order that a venue's fact reopened by what stops its like."""
        left = self.parent_left(order)
        if left is None or left < 0 or self.order_mode(order) in ("cancel_only", "halt"):
            order.asked = True

    def _compare_sums(self, order: Order, e: Event) -> None:
        """CumQty(14) only checks: what the venue counts beyond ours is asked about once."""
        told = parts.told_cum(order, e)
        amended = e["exec_type"].startswith("trade_c") and e["disposition"] in BOOKED
        if told > order.cum_qty:
            if told > order.asked_qty:  # the same sum again is no news
                self._ask_about(order)
            if told > order.asked_qty or amended:
                order.asked_qty = told
            if order.owes:
                order.last_replace = None  # the venue ended it: no replace reopens it
            return
        current = e["exec_type"] == "order_status" and not e.get("poss_dup")
        agrees = current and told == order.cum_qty
        if order.cum_qty < order.asked_qty and amended and not told and order.owes:
            self._ask_about(order)  # what it counts now it does not say
        elif order.cum_qty >= order.asked_qty or amended or agrees:
            self._forget_breaks(order.seq, words=False)

    def _compare_words(self, order: Order, e: Event) -> None:
        """Ask about an average that is not ours, and about an answer that counts less than we have.

        Only where the venue counts the order as a whole, and speaks of it as it is now. An average
        may differ by the dust of its rounding: less than one of the last place that it shows.
        """
        self._compare_lives(order, e)
        rule = self.venues[order.venue_id].replace_rule
        apart = parts.moves(self, order) or rule == "modify_new"
        if (apart and order.revision_last) or e["street_revision"] < order.street_revision:
            return
        ours, told, avg_px = order.cum_qty, e["cum_qty"], e.get("avg_px", 0)
        averages = avg_px != 0 and told == ours > 0
        answers = e["exec_type"] == "order_status" and e.get("queried") and not e.get("again")
        answers = answers and (told or e["leaves_qty"])
        word = None
        if averages:
            tick = self.instruments[order.instrument_id].tick
            unit = ONE // 10 ** max(decimals(tick), decimals(avg_px))
            if abs(avg_px * ours - order.cum_points) >= unit * ours:
                word = ("average", avg_px)
        if answers and told < ours:
            word = ("less", told)
        if word is not None:
            self._ask_once(order, word)
            return
        counts = order.asked_word is not None and order.asked_word[0] == "less"
        if order.asked_word and (averages or (answers and told == ours and counts)):
            self._forget_breaks(order.seq, sums=False)

    def _compare_lives(self, order: Order, e: Event) -> None:
        """Ask about an end that only the refusal of a change has told; any answer ends that."""
        if e["exec_type"] == "order_status":
            if order.asked_word in (("ended", 0), ("works", 0)) and not e.get("poss_dup"):
                self._forget_breaks(order.seq, sums=False)
            return
        refuses = e["exec_type"] in ("cancel_rejected", "replace_rejected")
        ended = e["ord_status"] in ENDED_WORDS or e["ord_status"] in ("rejected", "calculated")
        another = parts.moves(self, order) and parts.is_over(order, e)
        if refuses and ended and order.live and not order.is_here and not another:
            self._ask_once(order, ("ended", 0))

    def _ask_once(self, order: Order, word: tuple[str, int]) -> None:
        if word != order.asked_word:
            order.asked_word = word
            self._ask_about(order)

    def _ask_about(self, order: Order, *, later: bool = False) -> None:
        if order.seq not in self.to_ask:
            self.to_ask.append(order.seq)
        self.may_ask = self.may_ask or not later

    def _forget_breaks(self, seq: int, *, sums: bool = True, words: bool = True) -> None:
        order = self.orders.get(seq)
        if order is not None:
            order.asked_qty = 0 if sums else order.asked_qty
            order.asked_word = None if words else order.asked_word
        if order is None or not (order.asked_qty or order.asked_word):
            self.to_ask = [other for other in self.to_ask if other != seq]

    def _take_trade(self, order: Order, e: Event) -> None:
        """Book a fill whatever the order's state; before the ack it is the ack."""
        signed = e["last_qty"] if order.buys else -e["last_qty"]
        leg = self.leg_of(order.account_id, order.buys, order.effect)
        booking = Booking(signed, e["last_px"], e["fee"], leg=leg)
        fill = Fill(e["last_qty"], e["last_px"], e["fee"], booking, (e["last_px"], e["last_qty"]))
        fill.moment, fill.has_id = (e["transact_time_ns"], e["cum_qty"]), bool(e["exec_id"])
        fill.match_ids, fill.copied = e.get("match_ids", ()), e.get("drop_copy", False)
        fill.piece = order.pieces.get(e["street_revision"], order.piece)
        order.fills[self.fill_key(order, e)] = fill
        order.known = True
        if order.bound_by(e["street_revision"]):
            order.take_replace()
        if order.unsure and not order.canceling and not order.replacing:
            order.unsure = False
        if not order.live and order.cum_qty >= order.qty and order.ended != "calculated":
            order.ended = "filled"
        pair = (order.account_id, order.instrument_id)
        self.bookings.setdefault(pair, []).append(booking)

    def _take_trade_cancel(self, order: Order, e: Event) -> None:
        """Undo a fill, or make it another; what remains is folded in the order of events."""
        key = self.amended(order, e)
        assert key is not None
        fill = order.fills[key]
        if e["exec_type"] == "trade_correct":
            fill.qty, fill.px, fill.fee = e["last_qty"], e["last_px"], e["fee"]
            booking = fill.booking
            booking.qty = fill.qty if order.buys else -fill.qty
            booking.px, booking.fee = fill.px, fill.fee
        else:
            fill.busted = True
            bookings = self.bookings[order.account_id, order.instrument_id]
            bookings[:] = [b for b in bookings if b is not fill.booking]
        own = self.fill_key(order, e)
        if e["exec_id"] and self.told_under(order, own) is None:
            order.others[own] = (key, ("amends", e["last_px"], e["last_qty"]))
        order.known = True
        if order.live:
            return
        if order.cum_qty >= order.qty:
            order.ended = "calculated" if order.ended == "calculated" else "filled"
        elif e["leaves_qty"] > 0 and order.ended != "filled" and parts.told_anew(e):
            self._ask_once(order, ("works", 0))  # it may have ended since
        elif e["leaves_qty"] > 0 and (order.ended != "filled" or parts.moves(self, order)):
            parts.take_up(order, e, moves=parts.moves(self, order))
        elif order.ended == "filled":
            if e["leaves_qty"] > 0:
                order.reopen()
            else:
                order.ended = "expired" if e["ord_status"] == "expired" else "canceled"

    _take_trade_correct = _take_trade_cancel

    def _take_suspended(self, order: Order, e: Event) -> None:
        order.aside, order.known = e["exec_type"], True
        order.aside_ns = max(e["transact_time_ns"] or self.now_ns, order.aside_ns)

    _take_stopped = _take_done_for_day = _take_suspended

    def _take_calculated(self, order: Order, e: Event) -> None:
        order.end("calculated", self.now_ns)

    def _take_restated(self, order: Order, e: Event) -> None:
        if e["ord_status"] == "canceled" or parts.says_over(e):
            self._take_canceled(order, e)
        elif e["ord_status"] == "expired":
            self._take_expired(order, e)
        else:
            price, qty, fresh, opens = self.restated(order, e)
            assert isinstance(price, int)
            assert isinstance(qty, int)
            order.price, order.qty = price, qty
            if opens:
                order.reopen()
            if fresh:
                self._take_new(order, e)

    def _take_new(self, order: Order, e: Event) -> None:
        bound = order.bound_by(e["street_revision"])
        if self.renews(order, e) or not bound:
            order.known = True
            order.renew(e["transact_time_ns"])
        if bound:
            order.take_replace()

    def _take_canceled(self, order: Order, e: Event, how: str = "canceled") -> None:
        """End it, by the terms of the replace in flight where the venue names its id.

        Done for the day outlives a last fill: the end is that fill's then, however it is called.
        """
        if parts.proves_end(order, e):
            assert order.replacing is not None
            if order.replacing.moves and (order.canceling or order.asked):
                order.end("canceled", self.now_ns)
            else:
                order.vacate()
            return
        proved = order.proves_replace(e.get("street_revision", -1))
        if proved:
            order.take_replace()
        outlived = order.aside and (how == "expired" or not order.replacing)
        filled = (proved or outlived) and order.cum_qty >= order.qty
        order.end("filled" if filled else how, self.now_ns)

    def _take_expired(self, order: Order, e: Event) -> None:
        """End as expired, by the same rules."""
        self._take_canceled(order, e, "expired")

    def _take_rejected(self, order: Order, e: Event) -> None:
        """End as canceled what was rejected after its ack or a fill (CORNERS 21).

        Named by the id of its replace it had been there, and the replace had held.
        """
        if parts.was_replaced(order, e):
            self._take_canceled(order, e)
            return
        order.end("canceled" if order.known else "rejected", self.now_ns)

    def _take_replaced(self, order: Order, e: Event) -> None:
        if order.ended and order.last_replace and order.last_replace.qty > order.cum_qty:
            order.reopen()
        order.take_replace()

    def _take_replace_rejected(self, order: Order, e: Event) -> None:
        if order.unproved:
            order.end("canceled", self.now_ns)  # there is nothing to restore
        else:
            order.refuse_replace()

    def _take_cancel_rejected(self, order: Order, e: Event) -> None:
        if order.canceling and order.canceling.revision == e["street_revision"]:
            order.canceling = None
        else:
            order.refuse_replace()  # what it was stays

    def _take_unknown_order(self, order: Order, e: Event) -> None:
        order.end("canceled" if order.unproved else "rejected", self.now_ns)

    def _take_order_status(self, order: Order, e: Event) -> None:
        """Take a query's answer; the street id in it says which terms the venue holds."""
        if parts.found_working(order, e):
            parts.take_up(order, e, moves=parts.moves(self, order))
            order.asked = True  # whatever had ended it
            return
        if e["ord_status"] == "rejected":
            self._take_rejected(order, e)
        if e["ord_status"] == "calculated":
            self._take_calculated(order, e)
        if order.ended:
            return
        if e["ord_status"] == "expired":
            self._take_expired(order, e)
            return
        if e["ord_status"] in ENDED_WORDS:
            self._take_canceled(order, e, e["ord_status"])
            return
        if self.renews(order, e):
            self._take_new(order, e)
            return
        live = e["ord_status"] in ("new", "partially_filled")
        bound, doubtful = order.bound_by(e["street_revision"]), order.unsure and self.settles(e)
        if live and (bound or doubtful) and order.aside and e["transact_time_ns"] > order.aside_ns:
            order.renew(e["transact_time_ns"])  # what ends a doubt or binds an id renews as well
        if bound:
            order.take_replace()
            return
        if doubtful:
            if order.replacing and order.replacing.revision == e["street_revision"]:
                order.take_replace()
            if order.replacing:
                order.refuse_replace()
            order.canceling = None
            order.unsure = False
        order.known = True
