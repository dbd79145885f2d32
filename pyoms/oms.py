"""The composition root: a configuration becomes a desk; the one module that may import all others.

Called by `pyoms run`, the demo, backtests and tests. What must stay true: the same configuration
applied twice changes nothing, an engine folds a log with the capacities it was written with, and
nothing trades before everything configured is in the log.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyoms_native
from pyoms import limits
from pyoms.config import Config, VenueConfig, load
from pyoms.engine import Oms, order_number, shown_quote, valued
from pyoms.errors import ClientError, DeskError
from pyoms.records import record
from pyoms.schedule import Feeder, Held, ScheduleEvent
from pyoms.strategy import Dispatcher, Port, Strategy, Terms
from pyoms.tape import Tape, follow, open_log
from pyoms_core.dispatch import Event
from pyoms_core.gate import code_of
from pyoms_core.layout import (
    CODES,
    NAMES,
    ONE,
    TAG_EFFECT_SHIFT,
    TAG_PARENT,
    TAG_TERMS,
    VENUE_CALENDAR,
    VENUE_EXEC_ID_VERSIONS,
    VENUE_ICEBERG,
)

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of lock-step: act at `now_ns`, then `end_turn`; `up` is false while reconciling."""

    now_ns: int
    turn: int
    ended: bool
    up: bool


def capacities(config: Config) -> dict[str, int]:
    """Give the capacities of the engine that a configuration asks for."""
    fields = (
        *("orders_max", "ids_max", "fills_max", "accounts_max", "instruments_max", "venues_max"),
        *("sessions_max", "strategies_max", "traders_max", "currencies_max", "sectors_max"),
        "id_ttl_s",
        *("fill_days", "peg_interval_ms", "peg_ticks"),
        *("hedging_max", "throttle_orders_max", "log_reserve", "books_max", "book_orders_max"),
        "book_levels_max",
    )
    engine = config.engine
    return {name: getattr(engine, name) for name in fields if hasattr(engine, name)}


def options(
    config: Config,
    path: str | os.PathLike[str],
    *,
    lock_step: bool = False,
    start_ns: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """Give the options of the desk that a configuration asks for, on a directory."""
    root = Path(path)
    # In lock-step the turns are the heartbeat: either side waits for the other as long as it takes.
    heartbeat_ms = 0 if lock_step else 1_000
    venues = [
        {
            "name": v.name,
            "socket_path": root / v.socket,
            "cancel_on_disconnect": v.cancel_on_disconnect,
            "lock_step": lock_step,
            "heartbeat_ms": heartbeat_ms,
            "cancels_per_s_max": v.cancels_per_s_max,
            "mass_cancel": v.mass_cancel,
            "kill_confirm_ms_max": v.kill_confirm_ms_max,
        }
        for v in config.venues
        if v.socket
    ]
    return {
        "path": root,
        "name": config.desk.name,
        "tier": config.journal.tier,
        "ring_slots": config.journal.ring_mib * _MIB // 128,
        "segment_records": config.journal.segment_mib * _MIB // 128,
        "capacities": capacities(config),
        "venues": venues,
        "people": [(p.name, "risk" in p.roles, p.uid) for p in config.people],
        "sessions": [(s.name, s.cancel_on_disconnect) for s in config.sessions],
        "config_hash": config.config_hash,
        "spin": config.engine.spin,
        "cpu": config.engine.cpu,
        "journal_thread": not lock_step,
        "start_ns": start_ns,
        **more,
    }


def define_venue(oms: Oms, venue: VenueConfig, utc_offset_min: int) -> None:
    """Define a venue; one with a schedule tells its trading day by these clocks and its roll."""
    schedule = venue.schedule
    oms.define(
        "venue",
        venue.name,
        level=venue.replace_rule_code,
        flags=venue.flags
        | VENUE_CALENDAR * (schedule is not None)
        | VENUE_ICEBERG * venue.replenishes_icebergs
        | VENUE_EXEC_ID_VERSIONS * venue.exec_id_versions,
        queue_rule=venue.queue_rule_code,
        answer_s=venue.answer_s_max,
        parent_id=oms.id_of("account", venue.adopt_account) if venue.adopt_account else 0,
        zone=venue.zone.encode(),
        utc_offset_min=utc_offset_min,
        day_roll_min=schedule.day_roll_min if schedule else 0,
    )


def feed_inline(config: Config, oms: Oms) -> Callable[[ScheduleEvent], None]:
    """Take a schedule's events into an engine or desk of this process."""
    venues = {venue.name: venue for venue in config.venues}

    def feed(event: ScheduleEvent) -> None:
        number = oms.id_of("venue", event.venue)
        if event.what == "clock":
            define_venue(oms, venues[event.venue], event.utc_offset_min)
        elif event.what == "phase":
            code = event.phase_code
            oms.take("phase_change", venue_id=number, phase=code, transact_time_ns=event.time_ns)
        else:
            opened = int(event.what == "day_opened")
            oms.take("day_change", venue_id=number, trade_day=event.day, opened=opened)

    return feed


def feed_running(desk: Path) -> Callable[[ScheduleEvent], None]:
    """Tell a running desk a schedule's events at its control socket."""

    def feed(event: ScheduleEvent) -> None:
        if event.what == "clock":
            request = f"clock venue={event.venue} utc_offset_min={event.utc_offset_min}"
        elif event.what == "phase":
            request = f"phase venue={event.venue} phase={event.phase} at_ns={event.time_ns}"
        else:
            opened = int(event.what == "day_opened")
            request = f"day venue={event.venue} trade_day={event.day} opened={opened}"
        answer = json.loads(pyoms_native.ask(desk, request))
        if not answer["ok"]:
            raise DeskError(f"{request}: {answer['error']}")

    return feed


def held_days(path: Path, venues: Mapping[int, str]) -> dict[str, Held]:
    """Find in a log what schedules have fed it, by venue."""
    until: dict[str, int] = {}
    keys: dict[str, set[tuple[str, int, str]]] = {}
    for batch in open_log(path).batches():
        for row in batch.of("phase_change"):
            name, time_ns = venues.get(int(row["venue_id"])), int(row["transact_time_ns"])
            if name and not row["link_seq"] and not row["instrument_id"] and time_ns:
                phase = NAMES["phase"].get(int(row["phase"]), "")
                keys.setdefault(name, set()).add(("phase", time_ns, phase))
                until[name] = max(until.get(name, 0), time_ns)
        for row in batch.of("day_change"):
            if name := venues.get(int(row["venue_id"])):
                what = "day_opened" if row["opened"] else "day_closed"
                keys.setdefault(name, set()).add((what, int(row["trade_day"]), ""))
    return {name: Held(until.get(name, 0), frozenset(found)) for name, found in keys.items()}


class Setup:
    """Applies a configuration to a desk: definitions, terms, rates and limits, idempotently."""

    def __init__(self, config: Config, oms: Oms) -> None:
        self.config, self.oms = config, oms
        self.held: list[dict[str, Any]] = []
        """What the configuration would loosen, and so did not change."""

    def apply(self) -> None:
        """Tell the engine everything that is configured and that it does not know yet."""
        config, oms = self.config, self.oms
        for currency in (config.desk.currency, *config.desk.rates):
            oms.define("currency", currency)
        self._rates()
        for account in sorted(config.accounts, key=lambda a: -a.level_code):  # parents first
            self._account(account)
        for venue in config.venues:
            offset = venue.schedule.offset_min(oms.now_ns) if venue.schedule else 0
            define_venue(oms, venue, offset)
        for session in config.sessions:
            parent = oms.id_of("account", session.account) if session.account else 0
            oms.define("session", session.name, parent_id=parent)
        for strategy in config.strategies:
            oms.define("strategy", strategy.name)
        for trader in config.traders:
            oms.define("trader", trader)
        for sector in config.sectors:
            oms.define("sector", sector)
        for instrument in config.instruments:
            self._instrument(instrument)
        self._limits()

    def _rates(self) -> None:
        desk = self.config.desk
        for name, rate in {desk.currency: ONE, **desk.rates}.items():
            own = name == desk.currency
            self.oms.take(
                "rate",
                currency_id=self.oms.id_of("currency", name),
                rate=rate,
                rate_time_ns=self.oms.core.now_ns(),
                age_s_max=0 if own else desk.rate_age_s_max,
            )

    def _account(self, account: Any) -> None:
        oms = self.oms
        oms.define(
            "account",
            account.name,
            level=account.level_code,
            parent_id=oms.id_of("account", account.parent) if account.parent else 0,
            currency_id=oms.id_of("currency", account.currency),
            flags=account.flags,
        )

    def _instrument(self, instrument: Any) -> None:
        number = self.oms.define("instrument", instrument.name)
        row = record(
            "instrument_terms",
            instrument_id=number,
            venue_id=self.oms.id_of("venue", instrument.venue),
            currency_id=self.oms.id_of("currency", instrument.currency),
            tick=instrument.tick,
            lot=instrument.lot,
            qty_min=instrument.qty_min,
            qty_max=instrument.qty_max,
            contract_multiplier=instrument.contract_multiplier,
            band=instrument.band,
            reference_age_ms_max=instrument.reference_age_ms_max,
            flags=instrument.flags,
            reference_px=instrument.reference_price,
            margin=instrument.margin,
            sector_id=self.oms.id_of("sector", instrument.sector) if instrument.sector else 0,
        )
        told = self.oms.core.terms(number)
        if told is None or told[32:] != row[32:]:
            self.oms.take_record(row)

    def _limits(self) -> None:
        """Bring the configured limits into force, unless people must agree to what they loosen.

        The first limits of a log are the configuration's. Later ones loosen nothing while two
        people could approve it: the old ones then stay, whole, and `held` says what differs.
        """
        core = self.oms.core
        rows = limits.rows_of(self.config.limits, self.oms.id_of)
        rows = limits.changes(rows, limits.rows_from(core.limit_rows()))
        version = self.oms.counters()["limits_version"]
        if version and not len(rows):
            return
        loosened = core.loosened(rows.tobytes()) if version else []
        if loosened and sum("risk" in person.roles for person in self.config.people) > 1:
            names = {entity: self.oms.names(entity) for entity in limits.NAMED}
            self.held = [
                limits.whose(rows[at], names)
                | {
                    "field": field,
                    "old": limits.value_text(field, old),
                    "new": limits.value_text(field, new),
                }
                for at, field, old, new in loosened
            ]
            return
        rows["limits_version"] = version + 1
        for at in range(len(rows)):
            self.oms.take_record(rows[at].tobytes())
        self.oms.take("limits_activated", limits_version=version + 1, person=b"configuration")


class Desk(Oms):
    """A desk on the caller's thread: files, venue links, clients, kill switch.

    The verbs of :class:`pyoms.engine.Oms`, and the rounds that make it live.
    """

    core: pyoms_native.Desk

    def __init__(self, config: Config, given: dict[str, Any], *, lock_step: bool = False) -> None:
        super().__init__(pyoms_native.Desk(given))
        self.config, self._closed = config, False
        self.path: Path | None = None if given["tier"] == "memory" else Path(given["path"])
        setup = Setup(config, self)
        setup.apply()
        self.limits_held = setup.held
        if len(config.sessions) == 1:
            self.session = config.sessions[0].name
        if len(config.accounts) == 1:
            self.account = config.accounts[0].name
        self.calendar = self._calendar()
        self._due_ns: int | None = None
        if self.calendar.schedules and not lock_step:
            self.calendar.run_to(self.now_ns)
        self.core.flush()

    def _calendar(self) -> Feeder:
        """Make the feeder of the venues' schedules, by what the log holds already."""
        schedules = {v.name: v.schedule for v in self.config.venues if v.schedule is not None}
        held: dict[str, Held] = {}
        if schedules and self.path is not None:
            held = held_days(self.path, self.names("venue"))
        return Feeder(schedules, feed_inline(self.config, self), held)

    def poll(self, timeout_s: float = 0.0) -> bool:
        """Do one round, or rounds until there was something to do; whether there was."""
        return self.core.wait(timeout_s) if timeout_s > 0 else self.core.poll()

    def turn(self, timeout_s: float = 1.0) -> Turn | None:
        """Wait for the venue's next turn in lock-step; None when none came in time."""
        found = self.core.turn(timeout_s)
        if found is None:
            return None
        turn = Turn(*found)
        if self.calendar.schedules:
            due_ns = self.calendar.run_to(turn.now_ns)
            self._due_ns = None if turn.ended else due_ns  # after the end nobody takes a turn
        return turn

    def end_turn(self, wake_ns: int | None = None) -> None:
        """Send what is committed and hand the turn back, until a schedule's event at most."""
        if self._due_ns is not None:
            wake_ns = self._due_ns if wake_ns is None else min(wake_ns, self._due_ns)
        self.core.end_turn(wake_ns)

    def flush(self) -> bool:
        """Send what is committed; whether nothing waits any more."""
        return self.core.flush()

    def hold_outbox(self, hold: bool) -> None:
        """Drill: while held no message leaves."""
        self.core.hold_outbox(hold)

    def crash_at_seq(self, seq: int) -> None:
        """Drill: the process kills itself at the first new order appended at or above `seq`."""
        self.core.crash_at_seq(seq)

    def is_open(self) -> bool:
        """Whether new orders are taken."""
        return self.core.is_open()

    def status(self) -> dict[str, Any]:
        """Everything about it at this moment."""
        found: dict[str, Any] = json.loads(self.core.status_json())
        return found

    def latency(self) -> list[tuple[int, int]]:
        """Latencies of decisions in this process: (upper ns, count) of each bucket in use."""
        return self.core.decide_histogram()

    def engage(self, scope: str = "desk", target: str | int = 0, mode: str = "cancel_only") -> int:
        """Engage the kill switch; its epoch."""
        number = 0 if scope == "desk" else self.id_of(scope, target)
        return self.core.engage(scope, number, mode)

    def request_release(
        self, person: str, reason: str, scope: str = "desk", target: str | int = 0
    ) -> int:
        """Ask for a release; the hash that a second person approves."""
        number = 0 if scope == "desk" else self.id_of(scope, target)
        return self.core.request_release(scope, number, person, reason)

    def approve_release(self, change_hash: int, person: str) -> int:
        """Approve a release; the epoch."""
        return self.core.approve_release(change_hash, person)

    def start(self) -> pyoms_native.Running:
        """Hand the desk over to an engine thread of its own; this object is closed from then on."""
        self._closed = True
        return self.core.start()

    def close(self) -> None:
        """Stop in order: what is committed goes out, the log is written to its end."""
        if not self._closed:
            self._closed = True
            self.core.close()

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_desk(
    config: Config | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    lock_step: bool = False,
    start_ns: int = 0,
    **more: Any,
) -> Desk:
    """Open (or make) the desk of a configuration on a directory, on the caller's thread.

    Parameters
    ----------
    config : Config or path
        What it trades, for whom, within which limits.
    path : path
        Desk directory; sockets of venues are relative to it.
    lock_step : bool
        Virtual time handed out by its one venue.
    start_ns : int
        Lock-step: time of the first event of a new log.
    **more
        Options of ``pyoms_native.Desk`` that a test or a drill wants.
    """
    settings = config if isinstance(config, Config) else load(Path(config))
    if settings.journal.tier not in CODES["tier"]:
        raise DeskError(f"tier {settings.journal.tier} is not one of {', '.join(CODES['tier'])}")
    given = options(settings, path, lock_step=lock_step, start_ns=start_ns, **more)
    return Desk(settings, given, lock_step=lock_step)


class Client:
    """A client of a running desk, in this process or another: commands by a ring of its own.

    Verdicts are events that carry the command_seq. It is what a :class:`pyoms.strategy.Dispatcher`
    takes as its desk and as its sender; :func:`connect` is the way in for people.

    Parameters
    ----------
    desk : path
        Desk directory.
    session : str
        Session that the ring is bound to; its entitlements hold. One client a session.
    name : str
        What it is called in the desk's status, one word.
    slots : int
        Commands that its ring holds, a power of two.
    silence_ms : int
        It promises to :meth:`wait` this often, from its first time on; 0 promises nothing.
    """

    def __init__(
        self,
        desk: str | os.PathLike[str],
        session: str,
        *,
        name: str = "",
        slots: int = 4096,
        silence_ms: int = 0,
    ) -> None:
        self.path, self.session = Path(desk), session
        self._client = pyoms_native.Client(
            self.path, session, name=name, slots=slots, silence_ms=silence_ms
        )
        self._names: dict[str, dict[str, int]] = {}
        self._read_names()

    def _read_names(self) -> None:
        names = self.path / "names.json"
        try:
            self._names = json.loads(names.read_text())
        except (OSError, ValueError) as error:
            raise ClientError(f"{names}: cannot be read: {error}") from None

    @property
    def session_id(self) -> int:
        """Number of the session."""
        return self._client.session_id

    @property
    def life(self) -> str:
        """What no other client of this desk has: ids made up from it are new."""
        return ".".join(map(str, self._client.life))

    @property
    def event_seq(self) -> int:
        """Sequence of the last event that it may read."""
        return self._client.committed_seq

    @property
    def version(self) -> int:
        """Counts changes of quotes and of whether the desk is open."""
        return self._client.version

    @property
    def now_ns(self) -> int:
        """The present time, UTC ns."""
        return time.time_ns()

    def is_open(self) -> bool:
        """Whether the desk takes new orders."""
        return self._client.is_open()

    def beat(self) -> None:
        """Give a sign of life: from the first one, or the first command, silence counts."""
        self._client.beat()

    def wait(self, seen_seq: int, seen_version: int, timeout_s: float) -> None:
        """Give a sign of life and sleep until there is more than was seen, or for a while.

        ClientError when the desk has cut this client off or is gone.
        """
        self._client.wait(seen_seq, seen_version, timeout_s)

    def detach(self) -> None:
        """Take leave in order: the orders are canceled as ever, but nobody is named as lost."""
        self._client.detach()

    def id_of(self, entity: str, name: str | int) -> int:
        """Give the number of a name; ClientError if the desk has none."""
        if isinstance(name, int):
            return name
        found = self._names.get(entity, {}).get(name)
        if found is None:
            self._read_names()  # it may have been defined since
            found = self._names.get(entity, {}).get(name)
        if found is None:
            raise ClientError(f"{entity} {name!r} is not defined on the desk at {self.path}")
        return found

    def names(self, entity: str) -> dict[int, str]:
        """Give number -> name of all definitions of an entity."""
        return {number: name for name, number in self._names.get(entity, {}).items()}

    def top(self, instrument_id: int) -> tuple[int, int, int, int, int]:
        """Best bid, its size, best offer, its size, their time; fixed-point, NO_PRICE for none."""
        return self._client.quote(instrument_id)

    def quote_of(self, instrument: str | int) -> dict[str, int | None]:
        """Best bid and offer as the gate sees them, fixed-point; None for none."""
        return shown_quote(self.top(self.id_of("instrument", instrument)))

    def order(self, order_seq: int) -> dict[str, Any] | None:
        """Look at one order, as the engine has it: a question to its control socket."""
        found: dict[str, Any] | None = self._ask(f"order seq={order_number(order_seq)}")["order"]
        return found

    def position(self, account: str | int, instrument: str | int) -> dict[str, Any]:
        """Look at one position, as the engine has it: a question to its control socket."""
        ids = self.id_of("account", account), self.id_of("instrument", instrument)
        answer = self._ask("position account={} instrument={}".format(*ids))
        row: dict[str, Any] = answer["position"]
        legs = [leg | valued(leg) for leg in answer["legs"]]
        return row | valued(row) | {"legs": legs}

    def _ask(self, request: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(pyoms_native.ask(self.path, request))
        if not answer["ok"]:
            raise ClientError(f"{request}: {answer['error']}")
        return answer

    def events(self, from_seq: int = 1) -> Tape:
        """Read the desk's ring from `from_seq` on; older events are in its segments."""
        return follow(self.path, from_seq)

    def push(self, row: bytes, offer: bytes | None = None) -> int:
        """Hand over one command of 128 bytes; its command_seq, ClientError on a full ring.

        `offer` is the ``order_terms`` record that it carries: both go, or neither.
        """
        return self._client.push(row, offer)

    def new_order(
        self, port: Port, instrument: str | int, side: int, qty: int, price: int, terms: Terms
    ) -> int:
        """Send a strategy's new order; its command_seq."""
        return self.push(
            record(
                "new_order",
                cl_ord_id=terms.cl_ord_id.encode(),
                instrument_id=self.id_of("instrument", instrument),
                account_id=port.account_id,
                session_id=self.session_id,
                strategy_id=port.strategy_id,
                side=side,
                order_qty=qty,
                price=price,
                ord_type=code_of("ord_type", terms.ord_type),
                time_in_force=code_of("time_in_force", terms.time_in_force),
                parent_order_seq=terms.parent_order_seq,
                tags=TAG_PARENT * terms.is_parent
                | TAG_TERMS * (terms.offer is not None)
                | code_of("position_effect", terms.position_effect) << TAG_EFFECT_SHIFT,
            ),
            terms.offer,
        )

    def cancel(self, port: Port, cl_ord_id: str, order_seq: int) -> int:  # noqa: ARG002
        """Send a cancel; its command_seq."""
        return self.push(
            record(
                "cancel_order",
                order_seq=order_seq,
                cl_ord_id=cl_ord_id.encode(),
                session_id=self.session_id,
            )
        )

    def replace(
        self,
        port: Port,  # noqa: ARG002
        cl_ord_id: str,
        order_seq: int,
        price: int,
        qty: int,
        offer: bytes | None,
    ) -> int:
        """Send a replace, `offer` with its new stop price; its command_seq."""
        return self.push(
            record(
                "replace_order",
                order_seq=order_seq,
                cl_ord_id=cl_ord_id.encode(),
                session_id=self.session_id,
                price=price,
                order_qty=qty,
                tags=TAG_TERMS * (offer is not None),
            ),
            offer,
        )


class _Mine(Strategy):
    """Collects the events of one client's orders."""

    def __init__(self, name: str, *, account: str, session: str) -> None:
        super().__init__(name, account=account, session=session)
        self.found: deque[Event] = deque()

    def on_event(self, e: Event) -> None:
        """Keep it, unless it is old."""
        if not self.replaying:
            self.found.append(e)


class Connection:
    """A person's or a program's way to a running desk: commands out, events in.

    Every command returns its command_seq at once; its verdict is the event that carries it. When
    the connection ends, however it ends, the session's orders are canceled unless the
    configuration says otherwise.
    """

    def __init__(
        self, desk: str | os.PathLike[str], session: str, *, account: str = "", strategy: str = ""
    ) -> None:
        self._client: Client | None = Client(desk, session, name=strategy or "connection")
        self._mine = _Mine(strategy, account=account, session=session)
        self._dispatcher = Dispatcher(self._client, [self._mine], sender=self._client)
        self._dispatcher.replay()  # whose order is whose
        port = self._mine.oms
        self.submit, self.cancel, self.replace = port.submit, port.cancel, port.replace
        self.quote, self.order, self.position = port.quote, port.order, port.position
        self.id_of = port.id_of

    @property
    def is_open(self) -> bool:
        """Whether the desk takes new orders."""
        return self._live().is_open()

    def _live(self) -> Client:
        if self._client is None:
            raise ClientError("the connection is closed")
        return self._client

    def events(self, timeout_s: float = 0.0) -> Iterator[Event]:
        """Yield the events of this session's orders, until none came for `timeout_s`."""
        while (event := self._next(timeout_s)) is not None:
            yield event

    def _next(self, timeout_s: float) -> Event | None:
        until = time.monotonic() + timeout_s
        while True:
            client = self._live()
            version = client.version
            self._dispatcher.run_once()
            if self._mine.found:
                return self._mine.found.popleft()
            left_s = until - time.monotonic()
            if left_s <= 0:
                return None
            client.wait(self._dispatcher.router.next_seq - 1, version, left_s)

    def answer(self, command_seq: int, timeout_s: float = 5.0) -> Event:
        """Wait for the verdict of a command; later events stay to be read by :meth:`events`.

        ClientError when none came in time.
        """
        until = time.monotonic() + timeout_s
        passed: list[Event] = []
        try:
            while True:
                event = self._next(max(until - time.monotonic(), 0.0))
                if event is None:
                    raise ClientError(f"command {command_seq} was not answered in {timeout_s} s")
                passed.append(event)
                if getattr(event, "command_seq", 0) == command_seq:
                    return passed.pop()
        finally:
            self._mine.found.extendleft(reversed(passed))

    def close(self) -> None:
        """Let go of the session."""
        if self._client is not None:
            self._client.detach()
            self._client = None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def connect(
    desk: str | os.PathLike[str], session: str, *, account: str = "", strategy: str = ""
) -> Connection:
    """Attach to a running desk from any process of its user.

    Parameters
    ----------
    desk : path
        Desk directory, as given to ``pyoms run --desk``.
    session : str
        Session of the configuration that no other client is bound to.
    account, strategy : str
        Whom the orders are for, as defined.
    """
    return Connection(desk, session, account=account, strategy=strategy)
