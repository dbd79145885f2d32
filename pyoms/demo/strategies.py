"""The three who trade in the demo: a market maker, a slicer, and the clients of the recorded flow.

Run by the dispatcher inside the desk's process, one event at a time. What must stay true: state
comes from events alone and nothing is sent while the log is replayed, so that a restarted strategy
fed with the log stands where the dead one stood; no clock but the one it is given.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyoms.demo.plan import CLIENTS, NEW, REPLACE, Plan
from pyoms.numbers import Fixed, to_fixed
from pyoms.strategy import Strategy
from pyoms.venues.sim import SYMBOL
from pyoms_core.layout import NAMES, NO_PRICE, ONE

TICK = ONE // 4
"""Price increment of the instrument."""

_SECOND_NS = 1_000_000_000
_CLOSED = frozenset({"filled", "canceled", "rejected", "expired"})


@dataclass(slots=True)
class Working:
    """One order of ours as its events tell; `busy` while a change of it is on its way."""

    order_seq: int
    side: str
    price: int
    qty: int
    cum_qty: int = 0
    busy: bool = False
    is_parent: bool = False
    asked: tuple[int, int] = (0, 0)
    since_ns: int = 0
    ref: int = 0

    @property
    def leaves_qty(self) -> int:
        """What is still open of it."""
        return self.qty - self.cum_qty


class Book(Strategy):
    """Keeps the live orders of a strategy from its events; what to do is for those below it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.working: dict[int, Working] = {}
        self.net_qty = 0
        self.is_open = False
        self.is_running = False
        self.ids = 0
        self.newest = 0

    def fresh_id(self, letter: str) -> str:
        """Make an id no one had before: the count goes on where the log stands."""
        self.ids += 1
        return f"{letter}{self.ids}"

    def on_accepted(self, e: Any) -> None:
        """Take a new order, or a change that is now on its way."""
        self.saw_id(e.cl_ord_id)
        kind = e.kind_name
        if kind == "order_accepted":
            self.working[e.order_seq] = Working(
                order_seq=e.order_seq,
                side=e.name("side"),
                price=e.price,
                qty=e.order_qty,
                is_parent=bool(e.tags & 0x80),
                since_ns=e.ingest_time_ns,
                ref=self.ref_of(e.cl_ord_id),
            )
            self.newest = e.order_seq
            self.begun(self.working[e.order_seq])
            return
        order = self.working.get(e.order_seq)
        if order is None:
            return
        order.busy = True
        if kind == "replace_accepted":
            order.asked = (e.price, e.order_qty)
        elif kind == "cancel_accepted" and e.closed:
            self.gone(self.working.pop(e.order_seq))

    def on_refused(self, e: Any) -> None:
        """Remember the id; the order, if there is one, stays as it was."""
        self.saw_id(e.cl_ord_id)
        order = self.working.get(e.order_seq)
        if order is None:
            self.turned_down(e)
        elif e.kind_name == "change_refused":
            order.busy = False
            self.settled(order)

    def on_replaced(self, e: Any) -> None:
        """Take over the new price and quantity."""
        order = self.working.get(e.order_seq)
        if order is not None:
            order.price, order.qty = order.asked
            order.busy = False
            order.since_ns = e.ingest_time_ns
            self.settled(order)
        self.ended(e)

    def on_fill(self, e: Any) -> None:
        """Count a fill."""
        order = self.working.get(e.order_seq)
        if order is None or order.is_parent:
            return
        order.cum_qty += e.last_qty
        self.net_qty += e.last_qty if order.side == "buy" else -e.last_qty
        self.filled(order, e.last_qty)
        self.ended(e)

    def on_rejected(self, e: Any) -> None:
        """Take the venue's refusal of the order, or of a change."""
        order = self.working.get(e.order_seq)
        if order is not None and e.name("exec_type") in ("cancel_rejected", "replace_rejected"):
            order.busy = False
            self.settled(order)
        self.ended(e)

    def on_canceled(self, e: Any) -> None:
        """Forget it, asked for or not."""
        self.ended(e, over=True)

    def on_expired(self, e: Any) -> None:
        """Forget it, the day is over."""
        self.ended(e, over=True)

    def on_event(self, e: Any) -> None:
        """Orders that never left end by an event of ours."""
        order = self.working.get(e.order_seq)
        if e.kind_name == "dropped_unsent" and order is not None:
            order.busy = False
            if e.name("msg_type") == "new_order":
                del self.working[e.order_seq]
                self.gone(order)

    def ended(self, e: Any, *, over: bool = False) -> None:
        """Forget an order whose report says it is closed."""
        order = self.working.get(e.order_seq)
        if order is not None and (over or e.name("ord_status") in _CLOSED):
            del self.working[e.order_seq]
            self.gone(order)

    def on_phase(self, venue_id: int, instrument_id: int, phase: str) -> None:  # noqa: ARG002
        """Continuous trading or not."""
        self.is_open = phase == "open"

    def saw_id(self, cl_ord_id: str) -> None:
        """Count on from the highest number seen."""
        number = cl_ord_id[1:]
        if number.isdigit():
            self.ids = max(self.ids, int(number))

    def ref_of(self, cl_ord_id: str) -> int:  # noqa: ARG002
        """Give a number of the strategy's own to an order, from its id."""
        return 0

    def resume(self, now_ns: int) -> None:
        """Begin, or go on after the log was replayed and the venue's word is in."""
        self.is_running = True
        self.oms.wake_at(now_ns)

    def begun(self, order: Working) -> None:
        """Act on a new order of ours."""

    def turned_down(self, e: Any) -> None:
        """Act on a new order that was refused."""

    def settled(self, order: Working) -> None:
        """Act on a change that got its answer."""

    def filled(self, order: Working, qty: int) -> None:
        """Act on a fill."""

    def gone(self, order: Working) -> None:
        """Act on the end of an order."""


class Maker(Book):
    """Quotes both sides at the market's best prices, a tick further back where it is too long.

    It waits until trading is open and the book is sound, keeps one order a side, and moves it when
    the touch moves; ten lots of inventory cost the side that would add to it one tick.
    """

    clip_qty = 2 * ONE
    skew_qty = 10 * ONE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.touch = (NO_PRICE, NO_PRICE)
        self.waited = 0
        self.edge_ticks = 0

    def take_params(self, params: Mapping[str, Any]) -> None:
        """Take ``clip``, lots of an order, and ``edge_ticks``, how far behind the touch it lies."""
        if unknown := sorted(set(params) - {"clip", "edge_ticks"}):
            raise ValueError(f"{', '.join(unknown)} is not one of clip, edge_ticks")
        clip, edge = params.get("clip", self.clip_qty // ONE), params.get("edge_ticks", 0)
        clip_qty = to_fixed(clip, "clip")
        if clip_qty < ONE or clip_qty % ONE:
            raise ValueError(f"clip {clip} is no whole number from 1 on")
        if type(edge) is not int or edge < 0:
            raise ValueError(f"edge_ticks {edge!r} is no number from 0 on")
        self.clip_qty, self.edge_ticks = clip_qty, edge

    def on_quote(
        self,
        instrument_id: int,  # noqa: ARG002
        bid_px: int,
        bid_qty: int,  # noqa: ARG002
        ask_px: int,
        ask_qty: int,  # noqa: ARG002
        now_ns: int,
    ) -> None:
        """Take the market's move."""
        self.touch = (bid_px, ask_px)
        self.act(now_ns)

    def on_timer(self, now_ns: int) -> None:
        """Look again."""
        self.act(now_ns)

    def gone(self, order: Working) -> None:  # noqa: ARG002
        """One side is bare: look again at the next turn."""
        self.again()

    def settled(self, order: Working) -> None:  # noqa: ARG002
        """Look again: the market may have moved on meanwhile."""
        self.again()

    def again(self) -> None:
        """Ask for a turn soon."""
        if not self.replaying:
            self.oms.wake_at(self.oms.now_ns)

    def act(self, now_ns: int) -> None:
        """Bring both sides to where they should be."""
        bid_px, ask_px = self.touch
        if (
            not (self.is_running and self.is_open)
            or NO_PRICE in (bid_px, ask_px)
            or bid_px >= ask_px
        ):
            self.waited += 1
            return
        steps = int(self.net_qty / self.skew_qty)  # towards zero
        wanted = {
            "buy": bid_px - (max(steps, 0) + self.edge_ticks) * TICK,
            "sell": ask_px - (min(steps, 0) - self.edge_ticks) * TICK,
        }
        for side, price in wanted.items():
            mine = [order for order in self.working.values() if order.side == side]
            if not mine:
                self.oms.submit(
                    SYMBOL,
                    side,
                    Fixed(self.clip_qty),
                    Fixed(price),
                    cl_ord_id=self.fresh_id("M"),
                )
                # A refusal brings no order: try again in a while, or when the touch moves.
                self.oms.wake_at(now_ns + _SECOND_NS)
            for order in mine:
                if not order.busy and order.price != price:
                    order.busy = True
                    qty = order.cum_qty + self.clip_qty
                    self.oms.replace(order.order_seq, Fixed(price), Fixed(qty))


class Slicer(Book):
    """Works a parent of many lots through children, a slice at a time.

    A child rests at the best price of its side and is moved across the spread after a while. The
    parent's quantity bounds the children in the engine; here is only the schedule. A kill closes
    the parent: a new one is made for what is left.
    """

    slice_qty = 10 * ONE
    patience_ns = 20 * _SECOND_NS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.plan: Plan | None = None
        self.done_qty = 0
        self.touch = (NO_PRICE, NO_PRICE)
        self.next_slice_ns = 0

    def on_quote(
        self,
        instrument_id: int,  # noqa: ARG002
        bid_px: int,
        bid_qty: int,  # noqa: ARG002
        ask_px: int,
        ask_qty: int,  # noqa: ARG002
        now_ns: int,
    ) -> None:
        """Take the market's move."""
        self.touch = (bid_px, ask_px)
        if now_ns >= self.next_slice_ns:
            self.act(now_ns)

    def on_timer(self, now_ns: int) -> None:
        """Act: the next slice is due."""
        self.act(now_ns)

    def filled(self, order: Working, qty: int) -> None:  # noqa: ARG002
        """Children add up."""
        self.done_qty += qty

    def act(self, now_ns: int) -> None:
        """Make a parent, move a child that waited long enough, or cut the next slice."""
        if self.plan is None:
            return
        bid_px, ask_px = self.touch
        left = self.plan.parent_lots * ONE - self.done_qty
        if (
            not (self.is_running and self.is_open)
            or NO_PRICE in (bid_px, ask_px)
            or bid_px >= ask_px
            or left <= 0
        ):
            return
        live = [order for order in self.working.values() if not order.busy]
        if now_ns >= self.plan.end_ns - 30 * _SECOND_NS:
            # Time is up: children first, then the parent that nothing hangs on any more.
            for order in live:
                if not order.is_parent or len(self.working) == 1:
                    order.busy = True
                    self.oms.cancel(order.order_seq)
            self.oms.wake_at(now_ns + _SECOND_NS)
            return
        # Slices are spread over the time until ten minutes before the end.
        until_ns = max(self.plan.end_ns - 600 * _SECOND_NS - now_ns, 60 * _SECOND_NS)
        slices = -(-left // self.slice_qty)
        self.next_slice_ns = now_ns + max(until_ns // slices, _SECOND_NS)
        self.oms.wake_at(min(self.next_slice_ns, now_ns + self.patience_ns))
        side = self.plan.parent_side
        near, far = (bid_px, ask_px) if side == "buy" else (ask_px, bid_px)
        parent = next((o for o in self.working.values() if o.is_parent), None)
        if parent is None:
            edge = far + (60 * TICK if side == "buy" else -60 * TICK)
            self.oms.submit(
                SYMBOL,
                side,
                Fixed(left),
                Fixed(edge),
                cl_ord_id=self.fresh_id("S"),
                is_parent=True,
            )
            self.oms.wake_at(now_ns + _SECOND_NS)
            return
        children = [o for o in self.working.values() if not o.is_parent]
        for child in children:
            if (
                not child.busy
                and now_ns - child.since_ns >= self.patience_ns
                and child.price != far
            ):
                child.busy = True
                self.oms.replace(child.order_seq, Fixed(far), Fixed(child.qty))
        if not children:
            self.oms.submit(
                SYMBOL,
                side,
                Fixed(min(self.slice_qty, left)),
                Fixed(near),
                cl_ord_id=self.fresh_id("S"),
                parent_order_seq=parent.order_seq,
            )


@dataclass(slots=True)
class Recorded:
    """One sampled order: its number here once accepted, and the changes that wait."""

    order_seq: int = 0
    waiting: deque[int] = field(default_factory=deque)


class Client(Book):
    """Sends its share of the sampled orders of the day, with their later changes, when due.

    A change waits while another of the same order is under way. Orders that came due while the desk
    was down are given up; those that live on are brought to where the recording has them by now.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.flow: list[tuple[int, int, int, int, int, int]] = []
        self.times: list[int] = []
        self.rows_of: dict[int, list[int]] = {}
        self.recorded: dict[int, Recorded] = {}
        self.next = 0
        self.seen_ns = 0
        self.given_up = 0

    def take_flow(self, flow: Any, account: str) -> None:
        """Take the commands of this account's orders out of the day's flow."""
        mine = flow[flow["order_ref"] // 7 % len(CLIENTS) == CLIENTS.index(account)]
        columns = [mine[name].tolist() for name in flow.dtype.names[:-1]]
        self.flow = list(zip(*columns, strict=True))
        self.times = columns[0]
        for row, order_ref in enumerate(columns[1]):
            self.rows_of.setdefault(order_ref, []).append(row)

    def ref_of(self, cl_ord_id: str) -> int:
        """Ids of new orders are their numbers in the recording."""
        return int(cl_ord_id[1:])

    def saw_id(self, cl_ord_id: str) -> None:
        """Ids come from the recording."""

    def on_event(self, e: Any) -> None:
        """Remember how far the log goes."""
        self.seen_ns = e.ingest_time_ns
        super().on_event(e)

    def resume(self, now_ns: int) -> None:
        """Go on at `now_ns`: of what fell into a gap only changes of live orders are sent."""
        self.next = bisect_right(self.times, now_ns) if self.seen_ns else 0
        missed = self.flow[bisect_right(self.times, self.seen_ns) : self.next]
        self.given_up += sum(row[4] == NEW for row in missed) if self.seen_ns else 0
        for order in list(self.working.values()):
            rows = self.rows_of[order.ref]
            last = rows[bisect_left(rows, self.next) - 1]
            recorded = self.recorded[order.ref]
            recorded.waiting.clear()
            if self.flow[last][4] != NEW:
                recorded.waiting.append(last)
            self.pump(recorded)
        self.wake()

    def on_timer(self, now_ns: int) -> None:
        """Send all that is due."""
        while self.next < len(self.flow) and self.times[self.next] <= now_ns:
            row, self.next = self.next, self.next + 1
            _, order_ref, price, qty, kind, side = self.flow[row]
            if kind == NEW:
                self.recorded[order_ref] = Recorded()
                name = NAMES["side"][side]
                self.oms.submit(SYMBOL, name, Fixed(qty), Fixed(price), cl_ord_id=f"N{order_ref}")
            elif (recorded := self.recorded.get(order_ref)) is not None:
                recorded.waiting.append(row)
                self.pump(recorded)
        self.wake()

    def wake(self) -> None:
        """Ask for a turn when the next command is due."""
        if self.next < len(self.flow):
            self.oms.wake_at(self.times[self.next])

    def pump(self, recorded: Recorded) -> None:
        """Send the next change that waits, unless one is under way."""
        order = self.working.get(recorded.order_seq)
        while order is not None and recorded.waiting and not order.busy and not self.replaying:
            _, _, price, qty, kind, _ = self.flow[recorded.waiting.popleft()]
            if kind == REPLACE and (price, qty) == (order.price, order.qty):
                continue
            order.busy = True
            if kind == REPLACE:
                self.oms.replace(order.order_seq, Fixed(price), Fixed(qty))
            else:
                self.oms.cancel(order.order_seq)

    def begun(self, order: Working) -> None:
        """Let changes follow, the order has its number."""
        recorded = self.recorded.setdefault(order.ref, Recorded())
        recorded.order_seq = order.order_seq
        self.pump(recorded)

    def settled(self, order: Working) -> None:
        """Let the next change follow."""
        self.pump(self.recorded[order.ref])

    def turned_down(self, e: Any) -> None:
        """Forget the later changes of a refused order."""
        if e.kind_name == "order_refused":
            self.recorded.pop(self.ref_of(e.cl_ord_id), None)

    def gone(self, order: Working) -> None:
        """Forget those of a closed order too."""
        self.recorded.pop(order.ref, None)
