"""The inline engine for people: names and decimals in, verdicts and dicts out.

Called by research, tests and backtests (`Engine`, tier memory) and, through the same verbs, by a
desk (`pyoms.oms.Desk`); one thread at a time. What must stay true: no rule of the gate is here, a
refusal is a value and never an exception, and a number that fixed point cannot hold is never sent.
"""

from __future__ import annotations

import itertools
from decimal import Context, Decimal, Inexact, localcontext
from typing import Any

import numpy as np
import numpy.typing as npt

import pyoms_native
from pyoms.errors import EngineError, UnknownNameError
from pyoms.numbers import Number, fixed, whole
from pyoms.records import I64_MAX, U16_MAX, U32_MAX, U64_MAX, fixed_from, record
from pyoms.tape import Tape
from pyoms.terms import UNPRICED, OrderTerms, offer_of, ord_type_of
from pyoms_core import layout
from pyoms_core.gate import ID_SIZE_MAX, Gate, Verbs, Verdict, code_of
from pyoms_core.layout import (
    KINDS,
    NAMES,
    NO_PRICE,
    ONE,
    VENUE_EXEC_ID_VERSIONS,
    VENUE_ICEBERG,
)

UNLIMITED = 2**63 - 1
"""A limit row's value for "no limit"."""


EXACT = Context(prec=128, traps=[Inexact])
"""Decimals of money: sums of 128 bits times a multiplier of 64, nothing rounded."""


def check_unpriced(row: dict[str, Any] | None) -> None:
    """Refuse a replace without a price of an order that has one; an unknown one is the gate's."""
    if row is None:
        return
    ord_type = row["ord_type"]
    if ord_type not in UNPRICED:
        raise EngineError(
            f"price None for order {row['order_seq']}, a {ord_type}: give its limit price; only "
            f"{', '.join(UNPRICED)} carry none"
        )


def order_number(order: Any, what: str = "order_seq") -> int:
    """Check our number of an order."""
    return whole(order, what, 0, U64_MAX)


class Oms(Verbs):
    """The verbs over one engine or desk: define, submit, cancel, replace, look.

    Names become numbers here, once, by what the engine has defined.
    """

    core: pyoms_native.Port

    def __init__(self, core: pyoms_native.Port) -> None:
        super().__init__(core)
        self._ids: dict[tuple[str, str], int] = {}
        self._gates: dict[tuple[int, ...], Gate] = {}

    @property
    def life(self) -> str:
        """What no other run of this desk has: ids made up from it are new."""
        return str(self.core.counters()["epoch"])

    @property
    def event_seq(self) -> int:
        """Sequence of the last event."""
        return self.core.event_seq

    def top(self, instrument_id: int) -> tuple[int, int, int, int, int]:
        """Best bid, its size, best offer, its size, their time; fixed-point, NO_PRICE for none."""
        return self.core.quote(instrument_id)

    # Names -----------------------------------------------------------------------------------

    def id_of(self, entity: str, name: str | int) -> int:
        """Give the number of a name; UnknownNameError if the engine has none."""
        if not isinstance(name, str):
            wide = entity in ("instrument", "account")
            return whole(name, f"{entity}_id", 0, U32_MAX if wide else U16_MAX)
        found = self._ids.get((entity, name))
        if found is None:
            code = code_of("entity", entity)
            found = self.core.id_of(code, name) if name.isascii() else None
            if found is None:
                known = [d["name"] for d in self.core.definitions() if d["entity"] == entity]
                told = ", ".join(known[:8]) or "none"
                raise UnknownNameError(f"{entity} {name!r} is not defined; there are {told}")
            self._ids[entity, name] = found
        return found

    def names(self, entity: str) -> dict[int, str]:
        """Give number -> name of all definitions of an entity."""
        return {d["id"]: d["name"] for d in self.core.definitions() if d["entity"] == entity}

    def take(self, kind: str, **fields: Any) -> None:
        """Take one fact of the host; EngineError with the sentence when it is refused."""
        self.take_record(record(kind, **fields))

    def take_record(self, row: bytes) -> None:
        """Take one fact as its 128 bytes; EngineError with the sentence when it is refused."""
        code = self.core.step(row)
        if code:
            kind = layout.KIND_NAMES.get(int.from_bytes(row[24:26], "little"), "?")
            name = NAMES["verdict"].get(code, str(code))
            known = layout.CODES["verdict"].get(name)
            # A fact is refused without numbers: a sentence that needs some would tell wrong ones.
            told = name if known is None or "{" in known.doc else known.doc
            raise EngineError(f"{kind}: {told}")

    def define(self, entity: str, name: str, **fields: Any) -> int:
        """Give a name its number, once; the same name again keeps it."""
        code = code_of("entity", entity)
        if not isinstance(name, str):
            raise EngineError(f"{entity} name {repr(name)[:60]} is a {type(name).__name__}")
        clean = name.isascii() and name.isprintable() and " " not in name
        if not clean or not 1 <= len(name) <= ID_SIZE_MAX:
            raise EngineError(
                f"{entity} name {name[:40]!r} of {len(name)}: 1 to {ID_SIZE_MAX} printable ASCII "
                "characters without spaces are allowed"
            )
        self.take("definition", entity=code, name=name, **fields)
        return self.id_of(entity, name)

    # Commands ----------------------------------------------------------------------------------

    def gate(
        self,
        instrument: str | int,
        *,
        account: str | int | None = None,
        session: str | int | None = None,
        strategy: str | int = 0,
        venue: str | int = 0,
        ord_type: str | int = "limit",
        time_in_force: str | int = "day",
        position_effect: str | int = "none",
    ) -> Gate:
        """Bind who trades what once; the gate's own ``submit`` is the quick way in.

        A hedging account's orders say by `position_effect`, ``"open"`` or ``"close"``, which of its
        legs they belong to.
        """
        account = self.account if account is None else account
        session = self.session if session is None else session
        key = (
            self.id_of("instrument", instrument),
            self.id_of("account", account),
            self.id_of("session", session),
            self.id_of("strategy", strategy),
            self.id_of("venue", venue),
            code_of("ord_type", ord_type),
            code_of("time_in_force", time_in_force),
            code_of("position_effect", position_effect),
        )
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(
                self.core,
                instrument_id=key[0],
                account_id=key[1],
                session_id=key[2],
                strategy_id=key[3],
                venue_id=key[4],
                ord_type=key[5],
                time_in_force=key[6],
                position_effect=key[7],
            )
        return gate

    def offered(
        self, ord_type: str | int | None, price: Number | None, terms: OrderTerms
    ) -> tuple[str | int, bytes]:
        """Give the type that terms make, unless it is told, and their record; for ``submit``."""
        return ord_type_of(price, terms) if ord_type is None else ord_type, offer_of(terms)

    def cancel(
        self, order: int | str, *, cl_ord_id: str | None = None, session: str | int | None = None
    ) -> Verdict:
        """Cancel an order, by our number or by its client id."""
        gate = self._session_gate(session)
        own = self.next_id() if cl_ord_id is None else cl_ord_id
        if isinstance(order, str):
            return self.verdict_of(gate.cancel(own, 0, order), gate)
        return self.verdict_of(gate.cancel(own, order_number(order)), gate)

    def replace(
        self,
        order: int | str,
        *,
        price: Number | None,
        qty: Number,
        stop_px: Number | None = None,
        cl_ord_id: str | None = None,
        session: str | int | None = None,
    ) -> Verdict:
        """Replace price and total quantity of an order, and the stop price of one held here.

        An order without a limit price (:data:`pyoms.terms.UNPRICED`) is replaced with ``None``.
        """
        gate = self._session_gate(session)
        own = self.next_id() if cl_ord_id is None else cl_ord_id
        offer = None if stop_px is None else offer_of({"stop_px": stop_px})
        if price is None:
            self._check_unpriced(order, session)
        terms = (0 if price is None else fixed(price, "price"), fixed(qty, "order_qty"))
        if isinstance(order, str):
            return self.verdict_of(gate.replace(own, *terms, 0, order, offer), gate)
        number = order_number(order)
        return self.verdict_of(gate.replace(own, *terms, number, None, offer), gate)

    def _check_unpriced(self, order: int | str, session: str | int | None) -> None:
        """Let only an order without a limit price be replaced without one."""
        number: int | None
        if isinstance(order, str):
            own = self.id_of("session", self.session if session is None else session)
            number = self.core.order_of(own, order)
        else:
            number = order_number(order)
        check_unpriced(self.core.order(number or 0))

    def mass_cancel(
        self,
        *,
        account: str | int = 0,
        instrument: str | int = 0,
        strategy: str | int = 0,
        venue: str | int = 0,
        of_session: str | int = 0,
        side: str | int = 0,
        session: str | int | None = None,
        cl_ord_id: str | None = None,
    ) -> Verdict:
        """Cancel every live order that matches all scopes named."""
        gate = self._session_gate(session)
        row = record(
            "mass_cancel",
            cl_ord_id=self.next_id() if cl_ord_id is None else cl_ord_id,
            account_id=self.id_of("account", account),
            instrument_id=self.id_of("instrument", instrument),
            session_id=self.id_of("session", self.session if session is None else session),
            of_session_id=self.id_of("session", of_session),
            strategy_id=self.id_of("strategy", strategy),
            venue_id=self.id_of("venue", venue),
            side=code_of("side", side),
        )
        return self.verdict_of(gate.command(row), gate)

    def blank_orders(self, count: int, instrument: str | int, **terms: Any) -> npt.NDArray[np.void]:
        """Make an array of new orders on the given terms; ids, sides, prices are left to you."""
        rows = np.zeros(count, dtype=layout.dtype("new_order"))
        rows["kind"] = KINDS["new_order"]
        rows["instrument_id"] = self.id_of("instrument", instrument)
        for entity in ("account", "session"):
            rows[f"{entity}_id"] = self.id_of(entity, terms.get(entity, getattr(self, entity)))
        rows["strategy_id"] = self.id_of("strategy", terms.get("strategy", 0))
        rows["ord_type"] = code_of("ord_type", terms.get("ord_type", "limit"))
        rows["time_in_force"] = code_of("time_in_force", terms.get("time_in_force", "day"))
        effect = code_of("position_effect", terms.get("position_effect", "none"))
        rows["tags"] = effect << layout.TAG_EFFECT_SHIFT
        return rows

    def submit_many(
        self, orders: npt.NDArray[np.void], order_seqs: npt.NDArray[np.uint64] | None = None
    ) -> npt.NDArray[np.uint16]:
        """Submit an array of dtype ``new_order``; the verdict's code of each.

        The rows are the caller's bytes and go to the gate as they are: numpy cuts a ``cl_ord_id``
        of more than 36 bytes when it is assigned, before it can be seen here.
        """
        if orders.dtype != layout.dtype("new_order"):
            raise EngineError(
                f"orders have dtype {orders.dtype}, needed is layout.dtype('new_order')"
            )
        verdicts = np.empty(len(orders), dtype=np.uint16)
        flat = np.ascontiguousarray(orders).view("u1")
        self._session_gate(None).submit_many(flat, verdicts, order_seqs)
        return verdicts

    def _session_gate(self, session: str | int | None) -> Gate:
        number = self.id_of("session", self.session if session is None else session)
        key = (0, 0, number)
        if key not in self._gates:
            self._gates[key] = Gate(self.core, session_id=number)
        return self._gates[key]

    # To look at --------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The present time of its clock, UTC ns."""
        return self.core.now_ns()

    def orders(self, *, live: bool = True) -> list[dict[str, Any]]:
        """List orders, the live ones or all that are remembered; numbers fixed-point."""
        names = self.names("instrument")
        return [o | {"symbol": names.get(o["instrument_id"])} for o in self.core.orders(live=live)]

    def order(self, order_seq: int) -> dict[str, Any] | None:
        """Look at one order."""
        return self.core.order(order_number(order_seq))

    def positions(self) -> list[dict[str, Any]]:
        """List positions: ``net_qty`` fixed-point, money as exact decimal text in its currency.

        ``legs`` has the long and the short leg of a hedging account's position as rows of the same
        names, with ``position_leg``; it is empty for a net account's.
        """
        instruments, accounts = self.names("instrument"), self.names("account")
        return [
            row
            | valued(row)
            | {
                "legs": self._legs(row["account_id"], row["instrument_id"]),
                "symbol": instruments.get(row["instrument_id"]),
                "account": accounts.get(row["account_id"]),
            }
            for row in self.core.positions()
        ]

    def position(self, account: str | int, instrument: str | int) -> dict[str, Any]:
        """Look at one position."""
        ids = self.id_of("account", account), self.id_of("instrument", instrument)
        row = self.core.position(*ids)
        return row | valued(row) | {"legs": self._legs(*ids)}

    def _legs(self, account_id: int, instrument_id: int) -> list[dict[str, Any]]:
        return [leg | valued(leg) for leg in self.core.legs(account_id, instrument_id)]

    def quote_of(self, instrument: str | int) -> dict[str, int | None]:
        """Best bid and offer as the gate sees them, fixed-point; None for none."""
        return shown_quote(self.top(self.id_of("instrument", instrument)))

    def book(
        self, instrument: str | int, depth: int = 10
    ) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]] | None:
        """L2: bids and offers as (price, size, orders), best first; None without such data."""
        return self.core.book_levels(
            self.id_of("instrument", instrument), whole(depth, "depth", 0, U32_MAX)
        )

    def book_orders(
        self, instrument: str | int, depth: int = 100
    ) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]] | None:
        """L3: bids and offers as (order_ref, price, size) in trading order."""
        return self.core.book_orders(
            self.id_of("instrument", instrument), whole(depth, "depth", 0, U32_MAX)
        )

    def events(self, from_seq: int = 1) -> Tape:
        """Read the log in memory from `from_seq` on."""
        return Tape(self.core.tape(whole(from_seq, "from_seq", 0, U64_MAX)))

    def state_hash(self) -> int:
        """Hash of all state that the log folds into."""
        return self.core.state_hash()

    def counters(self) -> dict[str, int]:
        """Counters and what the engine says of itself."""
        return self.core.counters()


def shown_quote(top: tuple[int, int, int, int, int]) -> dict[str, int | None]:
    """Name the numbers of a best bid and offer; None for a side without one."""
    bid_px, bid_qty, ask_px, ask_qty, time_ns = top
    return {
        "bid_px": None if bid_px == NO_PRICE else bid_px,
        "bid_qty": bid_qty,
        "ask_px": None if ask_px == NO_PRICE else ask_px,
        "ask_qty": ask_qty,
        "time_ns": time_ns,
    }


def valued(row: dict[str, Any]) -> dict[str, str | None]:
    """Value a position: average price, realised, unrealised at the mid or last, fees, PnL.

    Exact decimals as text, the average to 28 digits; unrealised and PnL are None without a price.
    """
    net, open_points = row["net_qty"], row["open_points"]
    average = Decimal(open_points) / net / ONE if net else None  # may have no end
    with localcontext(EXACT):
        multiplier = Decimal(row["contract_multiplier"]) / ONE
        points = Decimal(10) ** -18
        realised = Decimal(row["realised_points"]) * points * multiplier
        fees = Decimal(row["fees"]) / ONE
        mark: Decimal | None = None
        if NO_PRICE not in (row["bid_px"], row["ask_px"]) and row["bid_px"] < row["ask_px"]:
            mark = Decimal(row["bid_px"] + row["ask_px"]) / 2
        elif row["last_px"] != NO_PRICE:
            mark = Decimal(row["last_px"])
        unrealised = None
        if mark is not None:
            unrealised = (mark * net - open_points) * points * multiplier
        elif net == 0:
            unrealised = Decimal(0)
        pnl = None if unrealised is None else realised + unrealised - fees
    return {
        "average_px": None if average is None else f"{average:f}",
        "realised": f"{realised:f}",
        "unrealised": None if unrealised is None else f"{unrealised:f}",
        "fees_paid": f"{fees:f}",
        "pnl": None if pnl is None else f"{pnl:f}",
    }


class Engine(Oms):
    """An engine in memory on the caller's thread; the caller is the venue.

    It comes with venue SIM (connected, open), session S1 and currency USD, so that ten lines do.

    Parameters
    ----------
    now_ns : int, optional
        Virtual time to begin at; without it the wall clock.
    ring_slots : int
        Records of the log that stay readable, a power of two.
    **capacities : int
        ``orders_max`` and the like, as in ``[engine]`` of the configuration.
    """

    def __init__(
        self, *, now_ns: int | None = None, ring_slots: int = 1 << 16, **capacities: int
    ) -> None:
        whole(ring_slots, "ring_slots", 1, U32_MAX)
        for name, capacity in capacities.items():
            whole(capacity, name)
        now_ns = None if now_ns is None else whole(now_ns, "now_ns")
        super().__init__(pyoms_native.Engine(capacities, ring_slots=ring_slots, now_ns=now_ns))
        self._versions = itertools.count(1)
        self._exec_ids = itertools.count(1)
        self.define_currency("USD")
        self.define_venue("SIM")
        self.session = "S1"
        self.define("session", self.session)
        self.take("desk_state", recovering=0)

    @property
    def now_ns(self) -> int:
        """The present time of its clock, UTC ns; set it for virtual time."""
        return self.core.now_ns()

    @now_ns.setter
    def now_ns(self, now_ns: int | None) -> None:
        """Set the clock; None gives it back to the wall clock."""
        self.core.set_now_ns(None if now_ns is None else whole(now_ns, "now_ns"))

    def define_currency(self, name: str, rate: Number = 1) -> int:
        """Define a currency and its rate into desk currency."""
        value = fixed_from(rate, "rate", 1)
        number = self.define("currency", name)
        self.take("rate", currency_id=number, rate=value, rate_time_ns=self.core.now_ns())
        return number

    def define_venue(
        self,
        name: str,
        *,
        replace_rule: str = "in_flight_counted",
        replenishes_icebergs: bool = False,
        exec_id_versions: bool = False,
        queue_rule: str = "untold",
        answer_s_max: int = 0,
    ) -> int:
        """Define a venue, connected and open; one that replenishes icebergs gets MaxFloor(111).

        With ``exec_id_versions`` two digits behind the last dot of its ExecID(17) tell a correction
        from the execution. ``queue_rule`` is what a replace keeps its place in the queue by:
        docs/queue-priority.md. A message without an answer
        for ``answer_s_max`` seconds (0 to 255) is asked about, 0 never.
        """
        flags = VENUE_ICEBERG * replenishes_icebergs + VENUE_EXEC_ID_VERSIONS * exec_id_versions
        level, queue = code_of("replace_rule", replace_rule), code_of("queue_rule", queue_rule)
        answer_s = whole(answer_s_max, "answer_s_max", 0, 255)
        number = self.define(
            "venue", name, level=level, flags=flags, queue_rule=queue, answer_s=answer_s
        )
        self.take("link_change", venue_id=number, state=code_of("link_state", "up"))
        self.set_phase(name, "open")
        return number

    def set_phase(self, venue: str, phase: str) -> None:
        """Change the market phase of a venue."""
        self.take(
            "phase_change", venue_id=self.id_of("venue", venue), phase=code_of("phase", phase)
        )

    def define_account(
        self,
        name: str,
        *,
        order_qty_max: Number | None = None,
        order_notional_max: int | None = None,
        gross_notional_max: int | None = None,
        net_notional_max: int | None = None,
        orders_max: int = 0,
        window_ms: int = 0,
        position_mode: str = "net",
    ) -> int:
        """Define an account and its limits, unlimited unless given; the first is the default.

        In `position_mode` ``"hedging"`` it keeps a long and a short leg of each instrument apart.
        """

        def notional(value: int | None, what: str) -> int:
            return UNLIMITED if value is None else whole(value, what)

        qty_max = UNLIMITED if order_qty_max is None else fixed_from(order_qty_max, "order_qty_max")
        limits = {
            "orders_max": whole(orders_max, "orders_max", 0, U32_MAX),
            "window_ns": whole(window_ms, "window_ms", 0, I64_MAX // 1_000_000) * 1_000_000,
            "order_qty_max": qty_max,
            "order_notional_max": notional(order_notional_max, "order_notional_max"),
            "net_qty_max": UNLIMITED,
            "gross_notional_max": notional(gross_notional_max, "gross_notional_max"),
            "net_notional_max": notional(net_notional_max, "net_notional_max"),
        }
        flags = layout.ACCOUNT_HEDGING * code_of("position_mode", position_mode)
        level = code_of("account_level", "account")
        number = self.define("account", name, level=level, flags=flags)
        self.account = self.account or name
        self.set_limit(scope=code_of("scope", "account"), account_id=number, **limits)
        return number

    def limit_position(self, account: str, instrument: str, *, net_qty_max: Number) -> None:
        """Bound the worst net position of an account in an instrument."""
        self.set_limit(
            scope=code_of("scope", "account_instrument"),
            account_id=self.id_of("account", account),
            instrument_id=self.id_of("instrument", instrument),
            order_qty_max=UNLIMITED,
            order_notional_max=UNLIMITED,
            net_qty_max=fixed_from(net_qty_max, "net_qty_max"),
            gross_notional_max=UNLIMITED,
            net_notional_max=UNLIMITED,
        )

    def set_limit(self, **fields: int) -> None:
        """Put one limit row in force, as the layout names its fields."""
        version = next(self._versions)
        self.take("limit_row", limits_version=version, **fields)
        self.take("limits_activated", limits_version=version, person=b"engine")

    def define_session(self, name: str, account: str = "") -> int:
        """Define a client session; without an account it may trade them all."""
        parent = self.id_of("account", account) if account else 0
        return self.define("session", name, parent_id=parent)

    def define_strategy(self, name: str) -> int:
        """Define a strategy."""
        return self.define("strategy", name)

    def define_instrument(
        self,
        name: str,
        *,
        tick: Number,
        lot: Number = 1,
        qty_min: Number | None = None,
        qty_max: Number = 1_000_000,
        contract_multiplier: Number = 1,
        band: int = 20_000,
        venue: str = "SIM",
        currency: str = "USD",
        reference_age_ms_max: int = 60_000,
        flags: int = 0,
    ) -> int:
        """Define an instrument and its terms; `band` is ppm either side of the best prices."""
        lot_fixed = fixed_from(lot, "lot", 1)  # first: it stands in for the smallest quantity
        qty_min_fixed = fixed_from(lot if qty_min is None else qty_min, "qty_min", 1)
        terms = {
            "tick": fixed_from(tick, "tick", 1),
            "lot": lot_fixed,
            "qty_min": qty_min_fixed,
            "qty_max": fixed_from(qty_max, "qty_max", qty_min_fixed),
            "contract_multiplier": fixed_from(contract_multiplier, "contract_multiplier", 1),
            "band": whole(band, "band"),
            "reference_age_ms_max": whole(reference_age_ms_max, "reference_age_ms_max", 0, U32_MAX),
            "flags": whole(flags, "flags", 0, U32_MAX) | layout.FLAG_BAND_PPM,
            "venue_id": self.id_of("venue", venue),
            "currency_id": self.id_of("currency", currency),
        }
        number = self.define("instrument", name)
        self.take("instrument_terms", instrument_id=number, **terms)
        return number

    def quote(
        self,
        instrument: str,
        bid: Number | None,
        bid_qty: Number,
        ask: Number | None,
        ask_qty: Number,
    ) -> None:
        """Tell the gate the best bid and offer; None for an empty side."""
        self.take(
            "quote",
            instrument_id=self.id_of("instrument", instrument),
            bid_px=NO_PRICE if bid is None else fixed(bid, "bid"),
            bid_qty=fixed(bid_qty, "bid_qty"),
            ask_px=NO_PRICE if ask is None else fixed(ask, "ask"),
            ask_qty=fixed(ask_qty, "ask_qty"),
            transact_time_ns=self.core.now_ns(),
        )

    def report(
        self,
        order_seq: int,
        exec_type: str,
        *,
        last_qty: Number = 0,
        last_px: Number = 0,
        exec_id: str | None = None,
        fee: Number = 0,
        avg_px: Number = 0,
        street_id: str | None = None,
    ) -> str:
        """Say a venue's word on an order; what the engine took it for.

        The street id is that of the last message sent for the order, cum and leaves follow from
        the order and `last_qty`; `avg_px` is the venue's AvgPx(6), 0 for none told.
        """
        said = code_of("exec_type", exec_type)
        order = self.core.order(order_number(order_seq))
        if order is None:
            raise EngineError(f"order {order_seq} is not remembered")
        sent = street_id or self._last_street_id(order_seq, order, exec_type)
        qty = fixed(last_qty, "last_qty")
        filled = order["cum_qty"] + (qty if exec_type == "trade" else 0)
        open_qty = max(order["order_qty"] - filled, 0)
        ends = {
            "trade": "filled" if open_qty == 0 else "partially_filled",
            "canceled": "canceled",
            "rejected": "rejected",
            "expired": "expired",
        }
        status = ends.get(exec_type, "partially_filled" if filled else "new")
        closed = status in ("canceled", "rejected", "expired")
        exec_id = f"E{next(self._exec_ids)}" if exec_id is None else exec_id
        if average := fixed(avg_px, "avg_px"):
            venue_id = order["venue_id"]
            self.take("exec_ref", venue_id=venue_id, exec_id=exec_id, avg_px=average)
        taken = self.core.report(
            record(
                "execution_report",
                street_id=sent,
                exec_id=exec_id,
                venue_id=order["venue_id"],
                exec_type=said,
                ord_status=code_of("ord_status", status),
                last_px=fixed(last_px, "last_px") if exec_type == "trade" else order["price"],
                last_qty=qty if exec_type == "trade" else order["order_qty"],
                cum_qty=filled,
                leaves_qty=0 if closed else open_qty,
                fee=fixed(fee, "fee"),
                transact_time_ns=self.core.now_ns(),
            )
        )
        return NAMES["disposition"][taken]

    def _last_street_id(self, order_seq: int, order: dict[str, Any], exec_type: str) -> str:
        """Find the street id of the message that a report of this type answers."""
        answers = {
            "replaced": "replace",
            "replace_rejected": "replace",
            "cancel_rejected": "cancel",
            "canceled": "cancel",
        }
        wanted = answers.get(exec_type)
        found: str = order["street_id"]
        if wanted is None:
            return found
        code = code_of("msg_type", wanted)
        for batch in self.events(max(1, self.core.event_seq - 4096)):
            rows = batch.of("routed")
            mine = rows[(rows["order_seq"] == order_seq) & (rows["msg_type"] == code)]
            if len(mine):
                found = bytes(mine["street_id"][-1]).decode()
        return found

    def outbox(self) -> npt.NDArray[np.void]:
        """Copy every message routed to a venue that is still in the log in memory."""
        first = self.events()
        first.seek(first.oldest_seq)
        parts = [batch.of("routed") for batch in first]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=layout.dtype("routed"))
