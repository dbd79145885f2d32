"""Strategies: what they implement, the port they send through, and the dispatcher that calls them.

A strategy runs on the thread of its dispatcher, in the desk's process or beside it. What must stay
true: a command's verdict always comes back as an event, so the same code runs in both; events
come in the order of the log; while the log is replayed to a restarted strategy nothing can be sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Protocol, Unpack

from pyoms.engine import Oms, check_unpriced
from pyoms.errors import EngineError, LappedError
from pyoms.numbers import Number, fixed
from pyoms.tape import Tape, open_log
from pyoms.terms import OrderTerms, given, offer_of, ord_type_of
from pyoms_core.dispatch import Event, Router
from pyoms_core.gate import Gate, carries_terms, code_of
from pyoms_core.tape import Batch

CALLBACKS = (
    *("on_event", "on_accepted", "on_refused", "on_repeated", "on_ack", "on_fill", "on_canceled"),
    *("on_rejected", "on_replaced", "on_expired", "on_unknown", "on_dropped", "on_phase"),
)
"""Callbacks that events of the log reach."""


class Strategy:
    """Base of all strategies: override the callbacks you want; those left alone cost nothing.

    Parameters
    ----------
    name : str
        As defined on the desk; empty for a strategy of none.
    account, session : str
        Whom it trades for, and through which session.

    Attributes
    ----------
    oms : Port
        Where commands go; set by the dispatcher.
    replaying : bool
        The log is being replayed to it: rebuild, send nothing.
    """

    oms: Port
    replaying = False
    instruments: Iterable[str] | None = None
    """Instruments whose quotes it wants; None for all."""

    def __init__(self, name: str = "", *, account: str = "", session: str = "") -> None:
        self.name, self.account, self.session = name, account, session

    def on_start(self) -> None:
        """Begin: called once, before the first live event."""

    def on_event(self, e: Event) -> None:
        """Take any event of an order of ours, after its own callback."""

    def on_accepted(self, e: Event) -> None:
        """Take the acceptance of a new order, cancel or replace: ``e.kind_name``."""

    def on_refused(self, e: Event) -> None:
        """Take a refusal: ``e.verdict_name``, ``e.sentence``."""

    def on_repeated(self, e: Event) -> None:
        """Take the answer to a command that was sent twice."""

    def on_ack(self, e: Event) -> None:
        """Learn that the venue acknowledged the order."""

    def on_fill(self, e: Event) -> None:
        """Take a fill: ``e.last_px``, ``e.last_qty``, ``e.cum_qty``, ``e.leaves_qty``."""

    def on_canceled(self, e: Event) -> None:
        """Learn that the order is canceled, asked for or not."""

    def on_rejected(self, e: Event) -> None:
        """Learn that the venue refused the order or a change: ``e.name("exec_type")``."""

    def on_replaced(self, e: Event) -> None:
        """Learn that the replace holds."""

    def on_expired(self, e: Event) -> None:
        """Learn that the order expired."""

    def on_unknown(self, e: Event) -> None:
        """Learn that the outcome of what was sent is unknown until the venue answers."""

    def on_dropped(self, e: Event) -> None:
        """Learn that a message was held back and never sent."""

    def on_quote(
        self, instrument_id: int, bid_px: int, bid_qty: int, ask_px: int, ask_qty: int, now_ns: int
    ) -> None:
        """Take best bid and offer: the last state, once a round. NO_PRICE for none."""

    def on_timer(self, now_ns: int) -> None:
        """Act: the time asked for with ``oms.wake_at`` has come."""

    def on_phase(self, venue_id: int, instrument_id: int, phase: str) -> None:
        """Learn that trading opened, paused or closed; instrument 0 is the whole venue."""


class Looks(Protocol):
    """What strategies see of a desk: one in this process, or one that a client is attached to."""

    session: str

    @property
    def now_ns(self) -> int:
        """The present time, UTC ns."""
        ...

    @property
    def life(self) -> str:
        """What no other run has: ids made up from it are new."""
        ...

    @property
    def event_seq(self) -> int:
        """Sequence of the last event."""
        ...

    def id_of(self, entity: str, name: str | int) -> int:
        """Give the number of a name."""
        ...

    def names(self, entity: str) -> dict[int, str]:
        """Give number -> name of all definitions of an entity."""
        ...

    def top(self, instrument_id: int) -> tuple[int, int, int, int, int]:
        """Best bid, its size, best offer, its size, their time."""
        ...

    def quote_of(self, instrument: str | int) -> dict[str, int | None]:
        """Best bid and offer as the gate sees them, fixed-point; None for none."""
        ...

    def order(self, order_seq: int) -> dict[str, Any] | None:
        """Look at one order."""
        ...

    def position(self, account: str | int, instrument: str | int) -> dict[str, Any]:
        """Look at one position."""
        ...

    def events(self, from_seq: int = 1) -> Tape:
        """Read the log in memory from `from_seq` on."""
        ...


class Sender(Protocol):
    """What a port hands its commands to: an engine or desk in this process, or a client's ring."""

    def new_order(
        self, port: Port, instrument: str | int, side: int, qty: int, price: int, terms: Terms
    ) -> int:
        """Send a new order; its command_seq."""
        ...

    def cancel(self, port: Port, cl_ord_id: str, order_seq: int) -> int:
        """Send a cancel; its command_seq."""
        ...

    def replace(
        self,
        port: Port,
        cl_ord_id: str,
        order_seq: int,
        price: int,
        qty: int,
        offer: bytes | None,
    ) -> int:
        """Send a replace, `offer` with its new stop price; its command_seq."""
        ...


class Terms:
    """The rest of a new order; `offer` is the ``order_terms`` record that it carries, if any."""

    __slots__ = (
        *("cl_ord_id", "is_parent", "offer", "ord_type", "parent_order_seq", "position_effect"),
        "time_in_force",
    )

    def __init__(
        self,
        cl_ord_id: str,
        ord_type: str,
        time_in_force: str,
        position_effect: str,
        parent: int,
        is_parent: bool,
        offer: bytes | None,
    ) -> None:
        self.cl_ord_id, self.ord_type, self.time_in_force = cl_ord_id, ord_type, time_in_force
        self.position_effect = position_effect
        self.parent_order_seq, self.is_parent, self.offer = parent, is_parent, offer


class Inline:
    """Hands commands to an engine or desk in this process."""

    def __init__(self, oms: Oms) -> None:
        self.oms = oms
        self._gates: dict[tuple[Any, ...], Gate] = {}

    def _gate(self, port: Port, instrument: str | int, terms: Terms | None) -> Gate:
        kinds = ("limit", "day", "none")
        if terms:
            kinds = (terms.ord_type, terms.time_in_force, terms.position_effect)
        key = (port, instrument, *kinds)
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(
                self.oms.core,
                instrument_id=self.oms.id_of("instrument", instrument),
                account_id=port.account_id,
                session_id=port.session_id,
                strategy_id=port.strategy_id,
                ord_type=code_of("ord_type", kinds[0]),
                time_in_force=code_of("time_in_force", kinds[1]),
                position_effect=code_of("position_effect", kinds[2]),
            )
        return gate

    def new_order(
        self, port: Port, instrument: str | int, side: int, qty: int, price: int, terms: Terms
    ) -> int:
        """Send a new order; its command_seq."""
        gate = self._gate(port, instrument, terms)
        parent = terms.parent_order_seq
        gate.submit(terms.cl_ord_id, side, price, qty, parent, terms.is_parent, terms.offer)
        return gate.command_seq

    def cancel(self, port: Port, cl_ord_id: str, order_seq: int) -> int:
        """Send a cancel; its command_seq."""
        gate = self._gate(port, 0, None)
        gate.cancel(cl_ord_id, order_seq)
        return gate.command_seq

    def replace(
        self,
        port: Port,
        cl_ord_id: str,
        order_seq: int,
        price: int,
        qty: int,
        offer: bytes | None,
    ) -> int:
        """Send a replace, `offer` with its new stop price; its command_seq."""
        gate = self._gate(port, 0, None)
        gate.replace(cl_ord_id, price, qty, order_seq, None, offer)
        return gate.command_seq


class Port:
    """One strategy's way to the desk: commands out, a few looks; verdicts come as events.

    Quantities and prices are decimal text, whole units as int, or :class:`pyoms.numbers.Fixed`.
    """

    def __init__(self, oms: Looks, sender: Sender, strategy: Strategy) -> None:
        self._oms, self._sender, self._strategy = oms, sender, strategy
        self.account_id = oms.id_of("account", strategy.account) if strategy.account else 0
        self.session_id = oms.id_of("session", strategy.session or oms.session)
        self.strategy_id = oms.id_of("strategy", strategy.name) if strategy.name else 0
        self.wake_ns: int | None = None
        self._life = oms.life
        self._count = itertools.count(1)

    def _id(self, letter: str, given: str | None) -> str:
        if self._strategy.replaying:
            name = self._strategy.name
            raise EngineError(f"strategy {name!r} is being replayed the log: nothing is sent")
        if given is not None:
            return given
        # Unique over restarts: each has a life of its own.
        return f"{letter}.{self._life}.{self.strategy_id}.{next(self._count)}"

    def submit(
        self,
        instrument: str | int,
        side: str | int,
        qty: Number,
        price: Number | None = None,
        *,
        cl_ord_id: str | None = None,
        ord_type: str | None = None,
        time_in_force: str = "day",
        position_effect: str = "none",
        parent_order_seq: int = 0,
        is_parent: bool = False,
        **more: Unpack[OrderTerms],
    ) -> int:
        """Send a new order; its command_seq. Without an `ord_type` price and terms say it.

        The terms, all optional, are those of :class:`pyoms.terms.OrderTerms`. They and the order
        go together: where the command ring has no room for both, neither is sent. A hedging
        account's order says by `position_effect`, ``"open"`` or ``"close"``, its leg.
        """
        kind = ord_type_of(price, more) if ord_type is None else ord_type
        offer = None
        if given(more) or carries_terms(
            code_of("ord_type", kind), code_of("time_in_force", time_in_force)
        ):
            offer = offer_of(more)
        own = self._id("n", cl_ord_id)
        terms = Terms(own, kind, time_in_force, position_effect, parent_order_seq, is_parent, offer)
        return self._sender.new_order(
            self,
            instrument,
            code_of("side", side),
            fixed(qty, "order_qty"),
            0 if price is None else fixed(price, "price"),
            terms,
        )

    def cancel(self, order_seq: int, *, cl_ord_id: str | None = None) -> int:
        """Send a cancel of an order; its command_seq."""
        return self._sender.cancel(self, self._id("c", cl_ord_id), order_seq)

    def replace(
        self,
        order_seq: int,
        price: Number | None,
        qty: Number,
        *,
        stop_px: Number | None = None,
        cl_ord_id: str | None = None,
    ) -> int:
        """Send a replace to a new price and total quantity; its command_seq.

        `stop_px` moves the stop of an order that is held here. None as the price is for orders
        that carry none (:data:`pyoms.terms.UNPRICED`).
        """
        if price is None:
            check_unpriced(self._oms.order(order_seq))
        offer = None if stop_px is None else offer_of({"stop_px": stop_px})
        own = self._id("r", cl_ord_id)
        limit = 0 if price is None else fixed(price, "price")
        return self._sender.replace(self, own, order_seq, limit, fixed(qty, "order_qty"), offer)

    @property
    def now_ns(self) -> int:
        """The desk's present time: virtual in lock-step."""
        return self._oms.now_ns

    def wake_at(self, time_ns: int) -> None:
        """Ask for ``on_timer`` at a time; the earliest of several holds."""
        if self.wake_ns is None or time_ns < self.wake_ns:
            self.wake_ns = time_ns

    def quote(self, instrument: str | int) -> dict[str, int | None]:
        """Best bid and offer as the gate sees them, fixed-point."""
        return self._oms.quote_of(instrument)

    def order(self, order_seq: int) -> dict[str, Any] | None:
        """Look at an order."""
        return self._oms.order(order_seq)

    def position(self, instrument: str | int) -> dict[str, Any]:
        """Look at the position of its account in an instrument."""
        return self._oms.position(self.account_id, instrument)

    def id_of(self, entity: str, name: str) -> int:
        """Give the number of a name."""
        return self._oms.id_of(entity, name)


_ROUNDS_MAX = 16
"""Times that one round looks for the answers to what its own callbacks sent."""


class Dispatcher:
    """Calls strategies with what concerns them, one round after another, on the caller's thread.

    Parameters
    ----------
    oms : Oms or Client
        An engine or a desk of this process, or a client of a running one.
    strategies : iterable of Strategy
        Each trades under a (session, strategy) of its own.
    sender : Sender, optional
        Where their commands go; an engine or desk of this process takes them itself.
    """

    def __init__(
        self, oms: Looks, strategies: Iterable[Strategy], *, sender: Sender | None = None
    ) -> None:
        self.oms = oms
        self.strategies = list(strategies)
        if sender is None:
            if not isinstance(oms, Oms):
                kind = type(oms).__name__
                raise EngineError(f"a {kind} takes no commands by itself: give a sender")
            sender = Inline(oms)
        targets = []
        for strategy in self.strategies:
            strategy.oms = Port(oms, sender, strategy)
            callbacks = {
                name: getattr(strategy, name)
                for name in CALLBACKS
                if getattr(type(strategy), name) is not getattr(Strategy, name)
            }
            targets.append((callbacks, strategy.oms.session_id, strategy.oms.strategy_id))
        self.router = Router(targets)
        self._tape: Tape | None = None
        self._started = False
        self._wants: dict[int, list[Strategy]] = {}
        self._quotes: dict[int, tuple[int, int, int, int]] = {}

    @property
    def wake_ns(self) -> int | None:
        """Earliest time that a strategy asked to be woken at."""
        times = [s.oms.wake_ns for s in self.strategies if s.oms.wake_ns is not None]
        return min(times, default=None)

    def replay(self, until_seq: int | None = None) -> int:
        """Feed the log up to and with `until_seq` to strategies that may not send; events read.

        Of a desk on disk the segments and the ring are read; of an engine in memory its ring.
        """
        last = self.oms.event_seq if until_seq is None else until_seq
        for strategy in self.strategies:
            strategy.replaying = True
        fed = 0
        try:
            for batch in self._history():
                fed += self.router.dispatch(batch, last)
                if self.router.next_seq > last:
                    break
        finally:
            for strategy in self.strategies:
                strategy.replaying = False
        self.tape.seek(self.router.next_seq)
        return fed

    def _history(self) -> Iterable[Batch]:
        path = getattr(self.oms, "path", None)
        if path is None:
            return self.oms.events(self.router.next_seq)
        return open_log(path).batches(self.router.next_seq)

    @property
    def tape(self) -> Tape:
        """The cursor it reads with."""
        if self._tape is None:
            self._tape = self.oms.events(self.router.next_seq)
        return self._tape

    def run_once(self, now_ns: int | None = None) -> int:
        """Hand out all events, changed quotes and due timers, then the answers to what these sent.

        Returns the number of events read.
        """
        if not self._started:
            self._start()
        now = self.oms.now_ns if now_ns is None else now_ns
        read = self._events()
        self._market(now)
        for strategy in self.strategies:
            port = strategy.oms
            if port.wake_ns is not None and port.wake_ns <= now:
                port.wake_ns = None
                strategy.on_timer(now)
        for _ in range(_ROUNDS_MAX):
            more = self._events()
            if not more:
                break
            read += more
        return read

    def _start(self) -> None:
        self._started = True
        for strategy in self.strategies:
            if type(strategy).on_quote is not Strategy.on_quote:
                for number in self._instruments(strategy):
                    self._wants.setdefault(number, []).append(strategy)
            strategy.on_start()

    def _instruments(self, strategy: Strategy) -> list[int]:
        if strategy.instruments is None:
            return sorted(self.oms.names("instrument"))
        return [self.oms.id_of("instrument", name) for name in strategy.instruments]

    def _events(self) -> int:
        read = 0
        tape = self.tape
        while True:
            try:
                while (batch := tape.poll()) is not None:
                    read += self.router.dispatch(batch)
                return read
            except LappedError:
                read += self._catch_up(tape)

    def _catch_up(self, tape: Tape) -> int:
        """Read from the segments what the ring has lost; an engine in memory has none."""
        if getattr(self.oms, "path", None) is None:
            raise LappedError(self.router.next_seq, tape.oldest_seq)
        read = sum(self.router.dispatch(batch) for batch in self._history())
        tape.seek(self.router.next_seq)
        return read

    def _market(self, now_ns: int) -> None:
        for number, strategies in self._wants.items():
            *top, _ = self.oms.top(number)
            quote = (top[0], top[1], top[2], top[3])
            if self._quotes.get(number) != quote:
                self._quotes[number] = quote
                for strategy in strategies:
                    strategy.on_quote(number, *quote, now_ns)
