"""Engine and oracle live the same random lives, and agree on every order, sum and event.

`tests.model` is an order management system of its own, in plain Python. Hypothesis drives both
with the same commands, facts and venue's words: late, doubled, permuted, crossing, foreign, absurd.
After every step verdict or disposition, the kinds of the events, every order, position and reserve
must be equal; at the end the log of the engine, folded by the model, must come to the same. A few
seconds here, as long as wanted with VERIFY_ORACLE_EXAMPLES.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, currently_in_test_context, event, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pyoms.engine import Engine
from pyoms_core import layout
from tests.model.desk import NO_PRICE, ONE, UNLIMITED, Desk, Event
from tests.model.life import WAIT_FOR_PRICE, Order
from tests.model.pair import Pair
from tests.model.seam import EXEC_INST, Driven, code, limit_order
from tests.model.waiting import NO_TERMS

START_NS = 1_700_000_000_000_000_000
TICK = ONE // 4
SMALL = {
    "orders_max": 64,
    "ids_max": 1024,
    "fills_max": 1024,
    "accounts_max": 3,
    "instruments_max": 3,
    "venues_max": 3,
    "sessions_max": 3,
    "strategies_max": 3,
    "throttle_orders_max": 16,
    "log_reserve": 64,
    "books_max": 3,
    "book_orders_max": 16,
    "book_levels_max": 16,
    "terms_max": 64,
}
ORDERS_MAX = 60

IDS = st.sampled_from([f"id{n}" for n in range(14)] + ["x" * 36, "", "two words", "n\n", "é"])
CHANGE_IDS = st.integers(1, 10**9).map(lambda n: f"c{n}") | IDS
QTYS = st.sampled_from([1, 1, 2, 3, 5, 8, 10, 40, 100]).map(lambda n: n * ONE)
ODD_QTYS = QTYS | st.sampled_from([0, -ONE, ONE // 2, 101 * ONE, 2000 * ONE, 2**62])
PRICES = st.integers(-6, 6).map(lambda n: 100 * ONE + n * TICK)
ODD_PRICES = PRICES | st.sampled_from([0, -TICK, TICK // 2, 50 * ONE, 150 * ONE])
SIDES = st.sampled_from(["buy", "sell", "buy", "sell", "sell_short", "sell_short_exempt", "9"])
EXEC_IDS = (
    st.sampled_from(["", "E1", "E2", "E3", "E4", "E5"])
    | st.sampled_from(["E1.00", "E1.01", "E1.02", "E2.01", "E2.02", "E2.03"])
    | st.integers(6, 500).map(lambda n: f"E{n}")
)
ACCOUNTS, INSTRUMENTS = st.sampled_from([1, 1, 1, 2, 3]), st.sampled_from([1, 1, 1, 2, 3])
SESSIONS = st.sampled_from([1, 1, 1, 1, 2, 3])
NEVER_SENT = ["new_order", "cancel", "replace", "gap_fill", "order_status"]
CALM = st.integers(0, 9)  # 0: the odd case
REVISIONS = st.sampled_from(["own", "own", "cancel", "replace", "room", "first", "never"])
REPLACE_RULES = ["in_flight_counted", "in_flight_lost", "cancel_new", "modify_new"]
QUEUE_RULES = ["quantity_down", "away", "none", "untold"]
FEW = st.sampled_from([0, 0, 0, 1, 2, 3])
REASONS = st.sampled_from([0, 2, 4, 6, 6, 8, 10, 99, 106])
OWNER = ("account_id", "session_id", "instrument_id", "strategy_id")
LIMITED = ("limit", "stop_limit", "limit_if_touched")
ODD_TERMS = st.fixed_dictionaries(
    {},
    optional={
        "stop_px": ODD_PRICES,
        "trail": st.sampled_from([0, -TICK, TICK, TICK // 2, 10**6]),
        "expire_time_ns": st.sampled_from([1, 2**62]),
        "expire_day": st.sampled_from([1, 900]),
        "max_floor": ODD_QTYS,
        "min_qty": st.just(ONE),
        "peg_type": st.sampled_from(["none", "bid", "mid", "9"]),
        "peg_offset": st.sampled_from([-TICK, TICK // 2]),
        "leg_ref": st.just(1),
        "parent_order_seq": st.just(1),
        "reference_px": st.just(ONE),
        "group_seq": st.sampled_from([1, 2, 3, 77]),
        "contingency": st.sampled_from(["none", "oco", "bracket", "9"]),
    },
)
ODD_ORDERS = st.fixed_dictionaries(
    {},
    optional={
        "price": ODD_PRICES,
        "order_qty": ODD_QTYS,
        "side": SIDES,
        "account_id": ACCOUNTS,
        "instrument_id": INSTRUMENTS,
        "session_id": SESSIONS,
        "effect": st.sampled_from(["", "open", "close", "3"]),
        "ord_type": st.sampled_from(["market", "limit", "stop", "0", "99"]),
        "time_in_force": st.sampled_from(["gtd", "day", "0"]),
        "is_parent": st.just(True),
        "parent_order_seq": st.sampled_from([1, 2, 3, 77]),
    },
)


AMENDS = ("trade_cancel", "trade_correct")
FAMILY = ("child", "child", "fill", "fill", "resize", "resize", "cancel", *AMENDS)
"""What may come next in the life of a parent."""
SCENES = (
    "trails",
    "changes",
    "splits",
    "doubts",
    "moves",
    "hides",
    "finds",
    "pegs",
    "hedges",
    "groups",
    "copies",
    "silences",
)
"""Short stories that chance would seldom tell."""
SEQS = st.integers(0, 20)  # which order, counted from the newest; above them all: none there is
WORLD: dict[str, dict[str, Any]] = {
    "mass_cancel": {
        "cl_ord_id": CHANGE_IDS,
        "session_id": SESSIONS,
        "account_id": FEW,
        "instrument_id": FEW,
        "of_session_id": FEW,
        "strategy_id": st.sampled_from([0, 0, 0, 1, 2]),
        "venue_id": FEW,
        "side": st.sampled_from(["", "", "buy", "sell", "sell_short"]),
    },
    "kill": {
        "scope": st.sampled_from(["desk", "account", "instrument", "venue", "session", "strategy"]),
        "target_id": st.sampled_from([1, 1, 2, 900]),
        "mode": st.sampled_from(["open", "reduce_only", "cancel_only", "halt"]),
    },
    "link": {"venue_id": st.sampled_from([1, 2, 900]), "state": st.sampled_from(["up", "down"])},
    "phase": {
        "venue_id": st.sampled_from([1, 2]),
        "instrument_id": st.sampled_from([0, 1]),
        "phase": st.sampled_from(["pre_open", "auction", "auction", "halted", "closed"]),
    },
    "day": {
        "days": st.sampled_from([-1, 0, 1, 1, 1]),
        "opened": st.booleans(),
        "proved": st.booleans(),
    },
    "terms_change": {
        "restricted": st.sampled_from([0, 1]),
        "tick": st.sampled_from([TICK, 2 * TICK]),
    },
    "limits_change": {
        "order_qty_max": st.sampled_from([100, 5]),
        "notional": st.sampled_from([UNLIMITED, 9000]),
    },
    "outcome_lost": {"nth": SEQS},
    "never_sent": {
        "nth": SEQS,
        "msg_type": st.sampled_from(["new_order", "cancel", "replace", "order_status", "gap_fill"]),
    },
    "adjust": {
        "qty": QTYS,
        "px": PRICES,
        "buys": st.booleans(),
        "account_id": st.sampled_from([2, 2, 1]),
        "leg": st.sampled_from(["net", "net", "long", "short"]),
    },
    "change_mode": {
        "account_id": st.sampled_from([1, 2]),
        "mode": st.sampled_from(["net", "hedging"]),
    },
    "recover": {"recovering": st.sampled_from([0, 1])},
}
"""What is rare, and what it is made of."""
SEEN: Counter[str] = Counter()
"""What the lives of one run have met: inputs, verdicts, dispositions, statuses, triggers."""


def note(what: str) -> None:
    """Count a thing that a life has met, also in hypothesis' own statistics."""
    SEEN[what] += 1
    if currently_in_test_context():
        event(what)


def named_fills(order: Order) -> list[tuple[int, str]]:
    """Give the session day and ExecID(17) of each fill that was told with one."""
    return [(int(str(key[1])), key[2]) for key in order.fills if isinstance(key[2], str)]


class Lives(RuleBasedStateMachine):
    """One engine, one model, one story."""

    @initialize(
        rule_of=st.sampled_from(REPLACE_RULES[:2]),
        queue=st.sampled_from(QUEUE_RULES),
        keeps=st.just(True),
        limit=st.sampled_from([10**6, 10**6, 10**4]),
        mode=st.sampled_from(["net", "hedging"]),
        versions=st.booleans(),
    )
    def begin(
        self, rule_of: str, queue: str, keeps: bool, limit: int, mode: str, versions: bool
    ) -> None:
        oms = Engine(now_ns=START_NS, ring_slots=1 << 13, **SMALL)
        oms.define_venue("SIM", replace_rule=rule_of, queue_rule=queue, replenishes_icebergs=keeps)
        oms.define_venue("ALT", replenishes_icebergs=True)
        oms.define_account(
            "A1",
            order_qty_max=100,
            gross_notional_max=limit * 4,
            net_notional_max=limit * 3,
            position_mode=mode,
        )
        oms.define_account("A2", order_notional_max=limit, orders_max=8, window_ms=1000)
        oms.define_session("S2", account="A2")
        oms.define_strategy("K1")
        rules = {"level": code("replace_rule", rule_of), "queue_rule": code("queue_rule", queue)}
        flags = layout.VENUE_ICEBERG * keeps | layout.VENUE_EXEC_ID_VERSIONS * versions
        # A2 adopts, and three seconds without an answer are a question
        oms.define("venue", "SIM", flags=flags, parent_id=2, answer_s=3, **rules)
        oms.define_instrument("ES", tick="0.25", qty_max=1000, contract_multiplier=50, band=20_000)
        oms.define_instrument(
            "SPREAD",
            tick="0.25",
            qty_max=1000,
            venue="ALT",
            flags=layout.FLAG_NEGATIVE_PRICES | layout.FLAG_NO_BAND,
        )
        oms.limit_position("A1", "ES", net_qty_max=60)
        self.versions = itertools.count(100)
        self.pair = Pair(Driven(oms.core), self.seen)
        self.reports: list[Event] = []
        self.quote(100 * ONE - TICK, 100 * ONE, 5)

    def seen(self, told: Event) -> None:
        """Note what the desk did by itself."""
        if told["kind"] == "replace_accepted":
            note(f"place {told['priority']}")
        if told["kind"] == "triggered":
            note(f"triggered {told['outcome']}")
        elif told["kind"] == "moved":
            note(f"moved {told['outcome']}")
        elif told["kind"] in ("trail_moved", "group_flagged", "position_split"):
            note("over_close" if told.get("over_close") else told["kind"])
        elif told.get("why"):
            note(f"why {told['why']}")

    @property
    def model(self) -> Desk:
        return self.pair.model

    def both(self, kind: str, command: Event) -> str:
        verdict = self.pair.command(kind, command)
        note(f"{kind} {verdict}")
        return verdict

    def fact(self, kind: str, good: bool = True, /, **fields: Any) -> None:
        self.pair.fact(kind, good, **fields)
        note(f"{kind} {'taken' if good else 'refused'}")

    @rule(data=st.data(), what=st.sampled_from(["heal"] * 6 + list(WORLD) + ["day", "day"]))
    def world(self, data: Any, what: str) -> None:
        """One of the many things that are rare in a life, and more often that all is well again."""
        getattr(self, what)(**{name: data.draw(of) for name, of in WORLD.get(what, {}).items()})

    def heal(self) -> None:
        """Open what was closed, so that the life goes on."""
        self.release_all()
        for venue_id in (1, 2):
            self.link(venue_id, "up")
            self.phase(venue_id, 0, "open")
        self.phase(1, 1, "open")
        self.recover(0)
        self.terms_change(0, TICK)
        self.limits_change(100, UNLIMITED)
        self.quote(100 * ONE - TICK, 100 * ONE, 5)

    # Commands ------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.orders) < ORDERS_MAX)
    @rule(
        data=st.data(),
        side=st.sampled_from(["buy", "sell"]),
        qty=QTYS,
        price=PRICES,
        cl_ord_id=CHANGE_IDS,
        parent=st.sampled_from(["", "", "", "is", "of"]),
        effect=st.sampled_from(["open", "close"]),
    )
    def submit(
        self, data: Any, side: str, qty: int, price: int, cl_ord_id: str, parent: str, effect: str
    ) -> None:
        parents = [order for order in self.model.orders.values() if order.is_parent]
        command = limit_order(cl_ord_id, side, qty, price) | {"is_parent": parent == "is"}
        command["effect"] = effect if 1 in self.model.hedging else ""
        if parent == "of" and parents:
            of = data.draw(st.sampled_from(parents))
            command |= {"parent_order_seq": of.seq, "side": of.side}
            command |= {name: getattr(of, name) for name in OWNER}
        if data.draw(CALM) < 2:
            command |= data.draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "instrument_id": INSTRUMENTS,
                        "account_id": ACCOUNTS,
                        "session_id": SESSIONS,
                        "strategy_id": st.sampled_from([0, 1, 2]),
                        "venue_id": st.sampled_from([0, 1, 2, 3]),
                        "side": SIDES,
                        "order_qty": ODD_QTYS,
                        "price": ODD_PRICES,
                        "ord_type": st.sampled_from(["limit", "market", "0"]),
                        "time_in_force": st.sampled_from(["day", "gtc", "ioc", "fok", "0", "gtd"]),
                        "parent_order_seq": st.sampled_from([0, 1, 2, 77]),
                        "effect": st.sampled_from(["", "open", "close", "3"]),
                    },
                )
            )
            if command["ord_type"] == "market" and data.draw(CALM):
                command["price"] = 0
        self.both("new_order", command)

    @precondition(lambda self: len(self.model.orders) < ORDERS_MAX)
    @rule(
        data=st.data(),
        ord_type=st.sampled_from([*WAIT_FOR_PRICE, "limit", "limit", "market", "pegged"]),
        side=st.sampled_from(["buy", "sell"]),
        qty=QTYS,
        price=PRICES,
        cl_ord_id=CHANGE_IDS,
    )
    def submit_terms(
        self, data: Any, ord_type: str, side: str, qty: int, price: int, cl_ord_id: str
    ) -> None:
        """Offer terms, then the order that carries them; now and then the one without the other."""
        limited = ord_type in LIMITED
        command = limit_order(cl_ord_id, side, qty, price if limited else 0)
        command |= {"ord_type": ord_type, "has_terms": True}
        if 1 in self.model.hedging:
            command["effect"] = data.draw(st.sampled_from(["open", "close"]))
        inst = (
            data.draw(st.sets(st.sampled_from(["by_quote"])))
            if ord_type in WAIT_FOR_PRICE
            else set()
        )
        terms: Event = {}
        if ord_type == "trailing_stop":
            inst |= data.draw(st.sampled_from([set(), {"trail_ppm"}]))
            terms["trail"] = 5_000 if "trail_ppm" in inst else data.draw(st.integers(1, 4)) * TICK
        elif ord_type in WAIT_FOR_PRICE:
            terms["stop_px"] = data.draw(PRICES)
        if not data.draw(st.integers(0, 3)):
            inst |= {data.draw(st.sampled_from(["post_only", "reduce_only", "reduce_only"]))}
        match data.draw(
            st.sampled_from(["day", "day", "day", "gtc", "gtd", "date", "open", "ioc"])
        ):
            case "gtd":
                command["time_in_force"] = "gtd"
                ms = data.draw(st.sampled_from([1, 400, 60_000]))
                terms["expire_time_ns"] = self.model.now_ns + ms * 1_000_000
            case "date":
                command["time_in_force"] = "gtd"
                terms["expire_day"] = data.draw(st.integers(1, 9))
            case "open":
                command["time_in_force"] = data.draw(st.sampled_from(["at_open", "at_close"]))
            case other:
                command["time_in_force"] = other
        if ord_type == "pegged":
            command["price"] = data.draw(st.sampled_from([0, price]))
            terms["peg_type"] = data.draw(st.sampled_from(["bid", "ask", "mid"]))
            terms["peg_offset"] = data.draw(st.integers(-2, 2)) * TICK
        else:
            self.join_group(data, command, terms)
        if limited and not data.draw(st.integers(0, 5)):
            terms["max_floor"] = data.draw(QTYS)
        if not data.draw(CALM):
            terms |= data.draw(ODD_TERMS)
            command |= data.draw(ODD_ORDERS)
            inst |= data.draw(st.sets(st.sampled_from(["trail_ppm", "none_of_these", "by_quote"])))
        offer = NO_TERMS | {"session_id": command["session_id"]} | terms
        offer["exec_inst"] = tuple(word for word in EXEC_INST if word in inst)
        odd = data.draw(st.integers(0, 39))
        command["has_terms"] = odd != 1
        if odd:
            self.pair.offer(offer)
        verdict = self.both("new_order", command)
        if verdict == "accepted":
            note(f"terms {ord_type} {offer['contingency']} {command['time_in_force']}")
            for word in offer["exec_inst"]:
                note(f"terms {word}")
        if odd == 2:  # the same once more, terms and all, is a repetition
            self.pair.offer(offer)
            self.both("new_order", command)

    def join_group(self, data: Any, command: Event, terms: Event) -> None:
        """Found a group, or join one whose first leg may still be joined."""
        kinds = ["none", "none", "oco", "bracket", "oto_full"]
        kind = terms["contingency"] = data.draw(st.sampled_from(kinds))
        firsts = [
            order
            for order in self.model.orders.values()
            if order.terms and order.terms.group_seq == order.seq and order.live
        ]
        fit = [o for o in firsts if o.terms and (o.terms.contingency == "oco") == (kind == "oco")]
        if kind != "none" and fit and data.draw(CALM):
            first = fit[-1]
            terms["group_seq"] = first.seq
            owner = ("session_id", "account_id", "venue_id", "instrument_id")
            command |= {name: getattr(first, name) for name in owner}

    def some_seq(self, data: Any) -> int:
        seqs = list(self.model.orders)
        live = [seq for seq in seqs if self.model.orders[seq].live]
        if live and data.draw(CALM):
            return int(data.draw(st.sampled_from(live)))
        return int(data.draw(st.sampled_from([*seqs, 0, 99])))

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data(), cl_ord_id=CHANGE_IDS, session_id=SESSIONS, named=st.booleans())
    def cancel(self, data: Any, cl_ord_id: str, session_id: int, named: bool) -> None:
        command = self.named(data, cl_ord_id, session_id, named)
        self.both("cancel_order", command)

    def named(self, data: Any, cl_ord_id: str, session_id: int, named: bool) -> Event:
        seq = self.some_seq(data)
        order = self.model.orders.get(seq)
        orig = ""
        if named and order is not None and not order.lapsed:  # its id may be forgotten
            seq, orig = 0, order.cl_ord_id
            session_id = order.session_id if data.draw(CALM) else session_id
        return {
            "cl_ord_id": cl_ord_id,
            "order_seq": seq,
            "orig_cl_ord_id": orig,
            "session_id": session_id,
        }

    @precondition(lambda self: self.model.orders)
    @rule(
        data=st.data(),
        cl_ord_id=CHANGE_IDS,
        session_id=SESSIONS,
        named=st.booleans(),
        qty=QTYS,
        price=PRICES,
    )
    def replace(
        self, data: Any, cl_ord_id: str, session_id: int, named: bool, qty: int, price: int
    ) -> None:
        command = self.named(data, cl_ord_id, session_id, named)
        if not data.draw(CALM):
            qty, price = data.draw(ODD_QTYS), data.draw(ODD_PRICES)
        order = self.model.orders.get(command["order_seq"])
        held = order is not None and order.held
        if order is not None and order.terms and order.held and order.price != price:
            price = 0 if order.terms.ord_type not in LIMITED and data.draw(CALM) else price
        command |= {"price": price, "order_qty": qty, "has_terms": False}
        if data.draw(st.integers(0, 2 if held else 19)) == 0:
            command["has_terms"] = bool(data.draw(CALM))
            offer = NO_TERMS | {"stop_px": data.draw(PRICES), "session_id": command["session_id"]}
            self.pair.offer(offer)
        verdict = self.both("replace_order", command)
        if held:
            note(f"replace held {verdict}")

    def mass_cancel(self, **command: Any) -> None:
        self.both("mass_cancel", command)

    # A venue's words -----------------------------------------------------------------------------

    def tell(self, report: Event, doubled: bool = False) -> None:
        named = self.model.orders.get(report["street_seq"])
        if named and not named.session_id and not report["street_revision"]:
            report = report | {"street_id": named.cl_ord_id}  # the venue's own, which holds none
            report |= {"street_epoch": 0, "street_seq": 0}
        self.reports.append(report)
        if doubled:
            self.pair.time(self.model.now_ns)  # what is due without it is done before
        note(f"{report['exec_type']} {self.pair.report(report)}")
        if doubled:
            self.pair.time(self.model.now_ns)  # what the first asked for goes out
            before = self.image()
            again = self.pair.report(report)
            doubts = report["exec_type"] == "order_status" and report.get("flags", 0)
            told = () if doubts else ("applied",)  # told anew, a status settles no doubt
            assert again not in (*told, "late", "overfill", "reconciled"), (report, again)
            assert self.image() == before, report

    def image(self) -> tuple[Any, ...]:
        """Show what a report told twice must not change: orders, positions, what is asked."""
        core = self.pair.engine.core
        return core.orders(live=False), core.positions(), self.model.to_ask, self.model.due

    @precondition(lambda self: self.model.orders)
    @rule(
        data=st.data(),
        exec_type=st.sampled_from(
            ["new", "canceled", "replaced", "rejected", "expired", "cancel_rejected"]
            + ["replace_rejected", "order_status", "unknown_order", "pending_new"]
            + ["new", "replaced", "trade", "trade_cancel", "trade_correct"] * 2
            + ["restated", "suspended", "stopped", "done_for_day", "calculated"]
        ),
    )
    def venue_says(self, data: Any, exec_type: str) -> None:
        """Any word about any order."""
        self.say(data, exec_type, self.some_seq(data))

    @precondition(lambda self: any(o.live and not o.is_here for o in self.model.orders.values()))
    @rule(data=st.data(), qty=QTYS, px=PRICES)
    def venue_fills(self, data: Any, qty: int, px: int) -> None:
        """Fill an order that is at the venue."""
        live = [o.seq for o in self.model.orders.values() if o.live and not o.is_here]
        self.say(data, "trade", data.draw(st.sampled_from(live)), qty, px)

    @precondition(lambda self: any(o.fills for o in self.model.orders.values()))
    @rule(data=st.data(), exec_type=st.sampled_from(["trade_cancel", "trade_correct"]), qty=QTYS)
    def venue_amends(self, data: Any, exec_type: str, qty: int) -> None:
        """Bust or correct a fill that there is."""
        filled = [o.seq for o in self.model.orders.values() if o.fills]
        self.say(data, exec_type, data.draw(st.sampled_from(filled)), qty)

    @precondition(lambda self: any(o.live and not o.is_here for o in self.model.orders.values()))
    @rule(data=st.data())
    def venue_answers(self, data: Any) -> None:
        """Answer what is in flight, in time."""
        live = [o for o in self.model.orders.values() if o.live and not o.is_here]
        order = data.draw(st.sampled_from(live))
        words = ["new", "rejected"] if not order.known else ["order_status", "expired"]
        words += ["replaced", "replaced", "replace_rejected"] if order.replacing else []
        leaves = order.canceling or (order.replacing and order.replacing.moves)
        words += ["canceled", "canceled", "cancel_rejected"] if leaves else []
        self.say(data, data.draw(st.sampled_from(words)), order.seq)

    def word(self, order: Order, exec_type: str, **told: Any) -> Event:
        """Make a venue's word of an order, right in every field that is not told otherwise."""
        return {
            "street_epoch": order.epoch,
            "street_seq": order.seq,
            "street_revision": order.street_revision,
            "exec_id": "",
            "venue_id": order.venue_id,
            "trade_day": 0,
            "exec_type": exec_type,
            "ord_status": "new",
            "last_px": 0,
            "last_qty": 0,
            "cum_qty": order.filled_of(order.piece),
            "leaves_qty": order.leaves_qty,
            "fee": 0,
            "transact_time_ns": self.model.now_ns,
        } | told

    def say(self, data: Any, exec_type: str, seq: int, qty: int = ONE, px: int = 100 * ONE) -> None:
        exec_id, revision = data.draw(EXEC_IDS), data.draw(REVISIONS)
        cum = data.draw(st.sampled_from(["ours", "ours", "ours", "more", "less"]))
        order = self.model.orders.get(seq) or next(iter(self.model.orders.values()))
        revisions = {"own": order.street_revision, "first": 0, "never": order.revision_last + 1}
        if order.canceling:
            revisions["cancel"] = order.canceling.revision
        if order.replacing:
            revisions["replace"] = order.replacing.revision
            if order.replacing.moves:
                revisions["room"] = order.replacing.cancel_revision
        if exec_type in ("cancel_rejected", "replaced", "replace_rejected") and data.draw(CALM):
            revision = "cancel" if exec_type == "cancel_rejected" else "replace"
        if revision == "never" and data.draw(CALM):
            revision = "own"
        if exec_type == "trade" and data.draw(st.booleans()):
            qty = min(qty, order.leaves_qty) or qty
        filled = order.cum_qty + (qty if exec_type == "trade" else 0)
        ord_status = data.draw(
            st.sampled_from(["new", "partially_filled", "filled", "canceled", "rejected"])
            | st.sampled_from(["expired", "pending_cancel", "pending_replace", "pending_new"])
            | st.sampled_from(["suspended", "stopped", "done_for_day", "calculated"])
        )
        report = self.word(order, exec_type, street_seq=seq, last_px=px, last_qty=qty) | {
            "street_revision": revisions.get(revision, order.revision),
            "exec_id": exec_id,
            "trade_day": data.draw(st.sampled_from([0, 0, 0, 7, 8])),
            "ord_status": ord_status,
            "cum_qty": {"ours": filled, "more": filled + ONE, "less": max(filled - ONE, 0)}[cum],
            "leaves_qty": data.draw(st.sampled_from([order.leaves_qty, 0, ONE])),
            "fee": data.draw(st.sampled_from([0, 0, 5, -3])),
            "transact_time_ns": self.model.now_ns - data.draw(st.sampled_from([0, 0, 10**9])),
        }
        if data.draw(st.booleans()):
            points = order.cum_points + (qty * px if exec_type == "trade" else 0)
            exact = points // filled if filled else px
            averages = [exact, exact - exact % TICK, round(exact, -7), exact + TICK, 0]
            report["avg_px"] = data.draw(st.sampled_from(averages))
        if exec_type == "order_status":
            report["flags"] = data.draw(st.sampled_from([0, 4]))
        if exec_type in ("trade_cancel", "trade_correct"):
            ids = [exec_id for _, exec_id in named_fills(order)]
            report["exec_ref_id"] = data.draw(st.sampled_from([*ids, *ids, exec_id, "E1"]))
        if exec_type == "restated":
            report["ord_status"] = data.draw(st.sampled_from(["", "", ord_status]))
            report["restatement_reason"] = data.draw(REASONS)
            report["last_qty"] = data.draw(st.sampled_from([0, qty]))
        if not data.draw(st.integers(0, 3)):
            report |= self.copied(data, order, exec_type)
        if not data.draw(st.integers(0, 19)):
            report |= data.draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "venue_id": st.sampled_from([0, 1, 2, 900]),
                        "street_epoch": st.sampled_from([0, 2]),
                        "last_qty": st.sampled_from([0, -ONE]),
                        "last_px": st.sampled_from([0, -ONE]),
                        "cum_qty": st.just(-1),
                        "leaves_qty": st.just(-1),
                        "exec_type": st.sampled_from(["0", "99"]),
                    },
                )
            )
        self.tell(report, doubled=not data.draw(st.integers(0, 3)))

    def copied(self, data: Any, order: Order, exec_type: str) -> Event:
        """Say that a word was told before, or by another teller, or what it may be matched by."""
        flags = [layout.REPORT_POSS_DUP, layout.REPORT_POSS_RESEND]
        told: Event = {"flags": data.draw(st.sampled_from([0, *flags]))}
        if exec_type == "trade":
            told["flags"] |= data.draw(st.sampled_from([0, layout.REPORT_DROP_COPY]))
            ids = [exec_id for _, exec_id in named_fills(order)]
            name = data.draw(st.sampled_from(["trd_match_id", "secondary_exec_id"]))
            told[name] = data.draw(st.sampled_from(["", "M1", "M2", *ids]))
        return told

    @precondition(lambda self: self.reports)
    @rule(data=st.data())
    def venue_says_again(self, data: Any) -> None:
        """Any earlier word once more: doubled, late and out of order."""
        self.tell(data.draw(st.sampled_from(self.reports)))

    # Parents -------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.orders) < ORDERS_MAX)
    @rule(data=st.data(), what=st.sampled_from(FAMILY), side=st.sampled_from(["buy", "sell"]))
    def family(self, data: Any, what: str, side: str) -> None:
        """Give a parent children, fill them, take fills back, and resize and cancel either."""
        parents = [order for order in self.model.orders.values() if order.is_parent]
        some = [order for order in parents if order.live] if data.draw(CALM) else parents
        if not some:
            command = limit_order(self.fresh(), side, 10 * ONE, 100 * ONE) | {"is_parent": True}
            command["effect"] = "open" if 1 in self.model.hedging else ""
            self.both("new_order", command)
            return
        parent = data.draw(st.sampled_from(some))
        children = [o for o in parent.children if what not in AMENDS or named_fills(o)]
        if what == "child" or not children:
            self.bear(data, parent)
            return
        child = data.draw(st.sampled_from(children))
        if what == "fill":
            qty = data.draw(st.sampled_from([ONE, child.leaves_qty, parent.leaves_qty])) or ONE
            self.fill(child, qty)
        elif what in AMENDS:
            day, exec_id = data.draw(st.sampled_from(named_fills(child)))
            report = self.word(child, what, last_qty=2 * ONE, last_px=100 * ONE + TICK)
            report |= {"exec_id": self.fresh(), "exec_ref_id": exec_id, "trade_day": day}
            self.tell(report | {"leaves_qty": data.draw(st.sampled_from([0, ONE]))})
        else:
            self.resize(data, data.draw(st.sampled_from([parent, child])), what == "cancel")

    def fresh(self) -> str:
        """Give an id that no command and no fill has had."""
        return f"f{next(self.versions)}"

    def bear(self, data: Any, parent: Order) -> None:
        """Place a child: of all that its parent has left, of a part, or of too much."""
        left = parent.qty - self.model.children_qty(parent)
        qty = max(data.draw(st.sampled_from([ONE, 2 * ONE, 3 * ONE, left, left + ONE])), ONE)
        command = limit_order(self.fresh(), parent.side, qty, 100 * ONE)
        command |= {"parent_order_seq": parent.seq, "effect": parent.effect}
        command |= {name: getattr(parent, name) for name in OWNER}
        if self.both("new_order", command) == "accepted" and data.draw(CALM) < 8:
            order = self.model.orders[max(self.model.orders)]
            self.tell(self.word(order, "new"))

    def fill(self, order: Order, qty: int) -> None:
        """Fill an order at the venue, with every sum right."""
        report = self.word(order, "trade", last_qty=qty, last_px=100 * ONE, exec_id=self.fresh())
        self.tell(report | {"cum_qty": report["cum_qty"] + qty})

    def resize(self, data: Any, order: Order, away: bool) -> None:
        """Cancel a parent or a child, or give it a size at the edge of what it may have."""
        command: Event = {"cl_ord_id": self.fresh(), "order_seq": order.seq, "orig_cl_ord_id": ""}
        command["session_id"] = order.session_id
        if away:
            self.both("cancel_order", command)
            return
        held = self.model.children_qty(order) or order.cum_qty
        qty = data.draw(st.sampled_from([held - ONE, held, held + ONE, order.qty + ONE]))
        price = 100 * ONE + data.draw(st.integers(-1, 1)) * TICK
        verdict = self.both(
            "replace_order", command | {"price": price, "order_qty": qty, "has_terms": False}
        )
        if verdict == "accepted" and order.replacing and data.draw(CALM) < 7:
            word = data.draw(st.sampled_from(["replaced", "replaced", "replace_rejected"]))
            self.tell(self.word(order, word, street_revision=order.replacing.revision))

    # What is rare ----------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.orders) < ORDERS_MAX)
    @rule(name=st.sampled_from(SCENES), twist=st.booleans())
    def scene(self, name: str, twist: bool) -> None:
        """Tell a short story that leads to what chance would seldom meet, in one of two ways."""
        self.heal()
        getattr(self, name)(twist)

    def place(self, side: str = "buy", qty: int = 4 * ONE, /, **told: Any) -> Order | None:
        """Place an order in the midst of the market, with what is told of it; None if refused."""
        command = limit_order(self.fresh(), side, qty, 100 * ONE - TICK)
        command |= {"effect": "open" if 1 in self.model.hedging else ""}
        command |= {name: told.pop(name) for name in command.keys() & told.keys()}
        if told:
            command["has_terms"] = True
            limited = command["ord_type"] in (*LIMITED, "pegged")
            command["price"] = command["price"] if limited else 0
            self.pair.offer(NO_TERMS | {"session_id": command["session_id"]} | told)
        if self.both("new_order", command) != "accepted":
            return None
        for word in told.get("exec_inst", ()):
            note(f"terms {word}")
        return self.model.orders[max(self.model.orders)]

    def trails(self, twist: bool) -> None:
        """Let a trailing stop follow the market, and leave when that turns, if it may."""
        self.pair.trade(1, 100 * ONE)
        self.place("sell", ord_type="trailing_stop", trail=2 * TICK)
        self.pair.time(self.model.now_ns + 1_001 * 1_000_000)
        self.quote(100 * ONE - TICK, 100 * ONE, 5)
        self.pair.trade(1, 101 * ONE)
        if twist:
            self.phase(1, 1, "halted")
        self.pair.trade(1, 100 * ONE)

    def changes(self, twist: bool) -> None:
        """Hold an order, change it, release it, change it at its venue, and work it out."""
        order = self.place(ord_type="stop_limit", stop_px=101 * ONE)
        if order is None:
            return
        change = {"cl_ord_id": self.fresh(), "order_seq": order.seq, "orig_cl_ord_id": ""}
        change |= {"session_id": 1, "price": order.price, "order_qty": 5 * ONE, "has_terms": False}
        note(f"replace held {self.both('replace_order', change)}")
        self.pair.trade(1, 101 * ONE)
        if order.held or not order.live:
            return
        self.tell(self.word(order, "new"), doubled=True)
        self.both("replace_order", change | {"cl_ord_id": self.fresh(), "order_qty": 6 * ONE})
        self.tell(self.word(order, "replaced", street_revision=order.revision_last))
        status = {"ord_status": "new", "cum_qty": order.cum_qty + twist * ONE}
        self.tell(self.word(order, "order_status", **status))
        self.tell(self.word(order, "calculated" if twist else "suspended"))

    def splits(self, twist: bool) -> None:
        """Take a position through zero, and make the fill that did it another, or none."""
        if not self.model.position(1, 1).net_qty and (order := self.place()):
            self.fill(order, ONE)
        net = self.model.position(1, 1).net_qty
        order = self.place("sell" if net > 0 else "buy", abs(net) + 2 * ONE)
        if order is None:
            return
        self.fill(order, abs(net) + ONE)
        day, exec_id = named_fills(order)[-1]
        report = self.word(order, AMENDS[twist], last_qty=ONE, last_px=101 * ONE)
        self.tell(report | {"exec_ref_id": exec_id, "exec_id": self.fresh(), "trade_day": day})

    def doubts(self, twist: bool) -> None:
        """Lose and find an order, and cancel it with all others; the venue agrees or not."""
        order = self.place()
        if order is None:
            return
        self.outcome_lost(0)
        self.tell(self.word(order, "order_status" if twist else "new"))
        scopes = ("account_id", "instrument_id", "of_session_id", "strategy_id", "venue_id")
        every: Event = {"cl_ord_id": self.fresh(), "session_id": 1, "side": ""}
        self.mass_cancel(**every, **dict.fromkeys(scopes, 0))
        if order.canceling:
            word = "canceled" if twist else "cancel_rejected"
            self.tell(self.word(order, word, street_revision=order.canceling.revision))

    def moves(self, twist: bool) -> None:
        """Replace an order by whatever its venue has for that; what it was ends, or stays."""
        order = self.place()
        if order is None:
            return
        self.tell(self.word(order, "new"))
        change = {"cl_ord_id": self.fresh(), "order_seq": order.seq, "orig_cl_ord_id": ""}
        change |= {"session_id": 1, "price": order.price - TICK, "order_qty": 6 * ONE}
        self.both("replace_order", change | {"has_terms": False})
        if not order.replacing:
            return
        self.fill(order, ONE)
        revision = order.replacing.revision
        if not order.replacing.moves:
            self.tell(self.word(order, "replaced" if twist else "canceled"))
            self.tell(self.word(order, "new", street_revision=revision))
            return
        told = {"street_revision": order.replacing.cancel_revision if twist else order.revision}
        self.tell(self.word(order, "canceled", **told), doubled=twist)
        self.pair.time(self.model.now_ns)
        if order.unproved:
            self.tell(self.word(order, "new" if twist else "rejected"))
            self.tell(self.word(order, "canceled", street_revision=0))

    def hides(self, twist: bool) -> None:
        """Show a part of an order at a time, and let its parts fill and be replaced."""
        order = self.place("sell", 5 * ONE, max_floor=2 * ONE, price=101 * ONE)
        if order is None:
            return
        for _ in range(3):
            if order.live and not order.vacant:
                self.tell(self.word(order, "new"))
                self.fill(order, min(2 * ONE, order.leaves_qty) if twist else ONE)
                self.pair.time(self.model.now_ns)

    def find(self, exec_type: str, **told: Any) -> tuple[Order | None, Event]:
        """Tell of an order that nobody here placed, and what it is; the order if it is adopted."""
        foreign = {"venue_id": 1, "street_id": self.fresh(), "instrument_id": 1, "side": "sell"}
        foreign |= {"ord_type": "limit", "price": 100 * ONE, "order_qty": 4 * ONE}
        foreign |= {"time_in_force": "gtc"} | told
        nobody = Order(0, "", 0, 2, 1, 1, 0, "sell", "limit", "gtc", 0, 4 * ONE, epoch=0)
        report = self.word(nobody, exec_type, exec_id=self.fresh())
        report["street_id"] = foreign["street_id"]
        if exec_type == "trade":
            report |= {"last_qty": ONE, "last_px": 101 * ONE, "cum_qty": ONE}
        before = len(self.model.orders)
        for _ in range(2):  # told again, it is known
            note(f"offer_foreign {self.pair.offer_foreign(foreign)}")
            self.tell(report)
        adopted = len(self.model.orders) > before
        note(f"foreign {'adopted' if adopted else 'flagged'} {exec_type}")
        return (self.model.orders[max(self.model.orders)] if adopted else None), report

    def finds(self, twist: bool) -> None:
        """Find orders that were placed at the venue itself, fill them and want them away."""
        self.find("canceled")
        self.find("new", order_qty=0)
        self.find("new" if twist else "trade", side="9")
        self.find("trade", ord_type="market", price=0, order_qty=ONE)
        self.find("new", ord_type="market", price=0, time_in_force="day")
        order, _ = self.find("order_status" if twist else "trade")
        if order is None:
            return
        self.fill(order, ONE)
        self.tell(self.word(order, "order_status", cum_qty=order.cum_qty + ONE))
        self.pair.time(self.model.now_ns)
        self.kill("account", 2, "cancel_only" if twist else "halt")
        self.find("suspended", instrument_id=1 if twist else 77)
        self.pair.time(self.model.now_ns)
        self.release_all()
        self.pair.time(self.model.now_ns)
        if order.canceling:
            word = "canceled" if twist else "cancel_rejected"
            self.tell(self.word(order, word, street_revision=order.canceling.revision))
        day, exec_id = named_fills(order)[-1]
        report = self.word(order, "trade_cancel", exec_ref_id=exec_id, exec_id=self.fresh())
        self.tell(report | {"trade_day": day})

    def pegs(self, twist: bool) -> None:
        """Let orders of both sides follow bid, offer and midpoint, and stay where they may not."""

        def moved(ticks: int, ms: int = 101) -> None:
            self.pair.time(self.model.now_ns + ms * 1_000_000)
            self.quote(100 * ONE + (ticks - 1) * TICK, 100 * ONE + ticks * TICK, 5)

        def peg(side: str, to: str, ticks: int = 0, worst_px: int = 0, **told: Any) -> Order | None:
            told |= {"ord_type": "pegged", "price": worst_px, "peg_type": to}
            return self.place(side, 3 * ONE, **{"peg_offset": ticks * TICK} | told)

        peg("buy", "bid", peg_offset=TICK // 2) if twist else peg("buy", "none")
        peg("sell", "ask", max_floor=ONE)
        peg("sell", "ask", exec_inst=("post_only",))
        peg("buy", "mid", contingency="oco")
        self.quote(100 * ONE, NO_PRICE, 5)
        peg("sell", "mid")
        moved(0)
        worst_px = 100 * ONE + (TICK if twist else TICK // 2)
        orders = [peg("buy", "bid", 0, worst_px), peg("sell", "mid", 1), peg("buy", "mid", -1)]
        orders += [peg("sell", "ask", 0, 100 * ONE), peg("buy", "ask", -2, time_in_force="gtc")]
        told = [order for order in orders if order is not None]
        for order in told:
            self.tell(self.word(order, "new"))
        moved(2, 50)  # too soon, and then no quote is needed
        self.pair.time(self.model.now_ns + 51 * 1_000_000)
        moved(3)  # in flight now
        for at, order in enumerate(told):
            note(f"pegged {'follows' if order.replacing else 'stays'}")
            self.answer(order, at % 2 == twist)
        self.pair.time(self.model.now_ns + 26 * 1_000_000)
        if told:
            self.fill(told[0], ONE)
            change = {"cl_ord_id": self.fresh(), "order_seq": told[0].seq, "orig_cl_ord_id": ""}
            change |= {"session_id": 1, "price": told[0].price, "order_qty": 5 * ONE}
            self.both("replace_order", change | {"has_terms": False})
        for order in told:
            self.answer(order, True)
        self.kill("account", 1, "reduce_only" if twist else "cancel_only")
        moved(-1)
        self.release_all()
        self.quote(102 * ONE, 101 * ONE, 5) if twist else moved(1)
        moved(2)
        for order in told:
            self.answer(order, twist)

    def answer(self, order: Order, taken: bool) -> None:
        """Answer the replace that an order has in flight, by what its venue has for one."""
        change = order.replacing
        if change is None:
            return
        if change.moves:
            cancel = {"street_revision": change.cancel_revision}
            self.tell(self.word(order, "canceled" if taken else "cancel_rejected", **cancel))
            self.pair.time(self.model.now_ns)
            if order.unproved:
                self.tell(self.word(order, "new"))
        else:
            word, revision = "replaced" if taken else "replace_rejected", change.revision
            self.tell(self.word(order, word, street_revision=revision))

    def hedges(self, twist: bool) -> None:
        """Let an account keep legs apart, close no more of one than there is, and stay so."""
        self.change_mode(2, "hedging")
        self.adjust(2 * ONE, 100 * ONE, twist, 2, "long" if twist else "short")
        side = "sell" if twist else "buy"
        self.place(side, 100 * ONE, account_id=2, effect="close")
        self.change_mode(2, "net")

    def copies(self, twist: bool) -> None:
        """Hear of fills by the stream and by a drop copy, that match or do not, in either order."""
        order = self.place("buy", 9 * ONE)
        if order is None:
            return
        own = {"last_px": 100 * ONE, "last_qty": ONE}
        copy = {"flags": layout.REPORT_DROP_COPY} | own

        def fill(**told: Any) -> None:
            self.tell(self.word(order, "trade", exec_id=self.fresh(), **told))

        for name in ("trd_match_id", "secondary_exec_id"):
            match = {name: self.fresh()}
            for told in [own, copy] if twist else [copy, own]:
                fill(**told | match)
            fill(**copy | match)  # another that matches: each teller tells a fill once
        self.fill(order, ONE)
        fill(
            **copy, secondary_exec_id=named_fills(order)[-1][1]
        )  # some venues name the stream's id
        fill(**copy)  # nothing to match it by: it proves nothing
        fill(**own, exec_ref_id="")
        for reason in ("qty_decline", "gt_renewal", "repricing", "trading_halt"):
            self.tell(self.word(order, "suspended", transact_time_ns=self.model.now_ns - 1))
            why: Event = {"restatement_reason": code("restatement_reason", reason)}
            why |= {"cum_qty": order.cum_qty, "leaves_qty": ONE} if reason == "qty_decline" else {}
            self.tell(self.word(order, "restated", **why | {"ord_status": ""}))

    def groups(self, twist: bool) -> None:
        """Fill one of two legs, or end the day with one of them held."""
        first = self.place("sell", contingency="oco", exec_inst=("post_only",), price=101 * ONE)
        if first is None:
            return
        held = {"ord_type": "stop", "stop_px": 98 * ONE}
        self.place("sell", contingency="oco", group_seq=first.seq, **held)
        if twist:
            self.fill(first, ONE)
            self.pair.time(self.model.now_ns)
        else:
            self.day(0, opened=False, proved=True)
        self.place("sell", ONE, exec_inst=("reduce_only",), effect="")

    def silences(self, twist: bool) -> None:
        """Let a venue say nothing of an order, a change and a stop that left; then a word."""
        silent = [self.place(), self.place(time_in_force="ioc")]
        silent += [self.place(ord_type="stop", stop_px=101 * ONE)]
        changed = self.place()
        if changed is None:
            return
        self.tell(self.word(changed, "new"))
        change = {"cl_ord_id": self.fresh(), "order_seq": changed.seq, "orig_cl_ord_id": ""}
        change["session_id"] = 1
        if twist:
            self.both("cancel_order", change)
        else:
            change |= {"price": changed.price, "order_qty": 3 * ONE, "has_terms": False}
            self.both("replace_order", change)
        self.pair.trade(1, 101 * ONE)
        before = self.pair.engine.core.event_seq
        for seconds in (2, 2, 5):
            self.pair.time(self.model.now_ns + seconds * ONE)
        asked = self.pair.engine.core.event_seq - before
        assert asked >= len([order for order in silent if order and order.live])
        note("silence asked about")
        for order in filter(None, [*silent, changed]):
            if order.live:
                told = "new" if order is changed else "canceled"
                self.tell(self.word(order, "order_status", ord_status=told))

    # Facts ---------------------------------------------------------------------------------------

    @rule(bid=PRICES, ask=PRICES, gone=CALM)
    def quote(self, bid: int, ask: int, gone: int) -> None:
        if gone:
            bid, ask = min(bid, ask), max(bid, ask) + TICK
        if gone == 1:
            ask = NO_PRICE
        self.fact("quote", instrument_id=1, bid_px=bid, ask_px=ask, bid_qty=1, ask_qty=1)

    @rule(instrument_id=st.sampled_from([1, 1, 1, 2]), px=PRICES)
    def trade(self, instrument_id: int, px: int) -> None:
        self.pair.trade(instrument_id, px)

    @rule(
        ms=st.sampled_from([0, 1, 500, 999, 1000, 61_000, 24 * 3_600_000]),
        bid=st.just(100 * ONE - TICK),
    )
    def time_passes(self, ms: int, bid: int) -> None:
        if self.model.now_ns > START_NS + 3 * 24 * 3_600_000 * 1_000_000:
            ms = min(ms, 1000)  # the memory of fills is let go by day, which the model does not do
        self.pair.time(self.model.now_ns + ms * 1_000_000)
        if ms > 1000:
            self.quote(bid, bid + TICK, 5)

    def kill(self, scope: str, target_id: int, mode: str) -> None:
        target_id = 0 if scope == "desk" else target_id
        self.fact("control", target_id != 900, scope=scope, target_id=target_id, mode=mode)

    def release_all(self) -> None:
        for scope, number in list(self.model.modes):
            self.kill(scope, number, "open")

    def link(self, venue_id: int, state: str) -> None:
        self.fact("link_change", venue_id != 900, venue_id=venue_id, state=state)

    def phase(self, venue_id: int, instrument_id: int, phase: str) -> None:
        self.fact("phase_change", venue_id=venue_id, instrument_id=instrument_id, phase=phase)

    def day(self, days: int, opened: bool, proved: bool) -> None:
        """Open a day, or close the present or another one, proved or not."""
        trade_day = max(self.model.venues[1].day + (days if opened else min(days, 0)), 0)
        fields = {"venue_id": 1, "trade_day": trade_day, "opened": opened, "proved": proved}
        self.fact("day_change", **{name: int(value) for name, value in fields.items()})

    def terms_change(self, restricted: int, tick: int) -> None:
        """Give the reference data of a new day: another tick, or the restricted list."""
        own = self.model.instruments[1]
        fields = {
            "instrument_id": 1,
            "venue_id": own.venue_id,
            "currency_id": own.currency_id,
            "tick": tick,
            "lot": own.lot,
            "qty_min": own.qty_min,
            "qty_max": own.qty_max,
            "contract_multiplier": own.multiplier,
            "band": own.band,
            "reference_age_ms_max": own.age_ns_max // 1_000_000,
            "flags": layout.FLAG_BAND_PPM | restricted,
        }
        self.fact("instrument_terms", **fields)

    def limits_change(self, order_qty_max: int, notional: int) -> None:
        """Cut the limits of an account, or restore them; live orders keep what they have."""
        version = next(self.versions)
        row = {"account_id": 1, "instrument_id": 0, "entity_id": 0, "orders_max": 0}
        row |= {
            "window_ns": 0,
            "order_qty_max": order_qty_max * ONE,
            "order_notional_max": notional,
        }
        for name in ("net_qty_max", "gross_notional_max", "net_notional_max"):
            row[name] = UNLIMITED
        self.fact("limit_row", scope="account", limits_version=version, **row)
        self.fact("limits_activated", limits_version=version)

    def nth(self, nth: int) -> int:
        """Give the nth newest order, and for one too many a number that no order has."""
        seqs = sorted(self.model.orders, reverse=True)
        return seqs[nth] if nth < len(seqs) else 99

    def outcome_lost(self, nth: int) -> None:
        seq = self.nth(nth)
        self.fact("outcome_unknown", self.model.may_lose(seq), order_seq=seq, venue_id=1)

    def never_sent(self, nth: int, msg_type: str) -> None:
        event = {"order_seq": self.nth(nth), "msg_type": msg_type}
        self.fact("dropped_unsent", self.model.may_drop(event), venue_id=1, **event)

    def adjust(self, qty: int, px: int, buys: bool, account_id: int, leg: str) -> None:
        whose = {"account_id": account_id, "instrument_id": 1}
        event: Event = whose | {"net_qty": qty if buys else -qty, "price": px}
        kind = "position_adjusted"
        if leg != "net":
            event, kind = event | {"position_leg": leg}, "leg_adjusted"
        self.fact(kind, self.model.may_adjust(event), **event)

    def change_mode(self, account_id: int, mode: str) -> None:
        """Change how an account keeps its positions, or try to while something is open."""
        note(f"mode {mode} {self.pair.position_mode(account_id, mode == 'hedging')}")

    def recover(self, recovering: int) -> None:
        self.fact("desk_state", recovering=recovering)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data())
    def crash(self, data: Any) -> None:
        """Die at any of the last events, in the midst of a step or of a group, and go on."""
        last_seq = self.pair.engine.core.event_seq
        at_seq = last_seq - data.draw(st.integers(0, max(min(last_seq - 45, 6), 0)))
        self.pair.crash(at_seq)
        note("crash in a step" if at_seq < last_seq else "crash between steps")
        self.quote(100 * ONE - TICK, 100 * ONE, 5)

    # Agreement -----------------------------------------------------------------------------------

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "pair"):
            self.pair.agree()
            for order in self.model.orders.values():
                SEEN[f"status {order.status}"] += 1

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            self.pair.end()


def settings_of(examples: int, **more: Any) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        **more,
    )


def test_engine_and_oracle_agree_on_any_life() -> None:
    """Live the same lives in each run of the tests; a campaign lives others each time, and more."""
    asked = os.environ.get("VERIFY_ORACLE_EXAMPLES")
    chosen = settings_of(int(asked or 40), derandomize=asked is None)
    run_state_machine_as_test(Lives, settings=chosen)


RARE = ("none", "suspended", "stopped", "done_for_day")
"""Statuses that not every few lives meet: the corners tell of them."""
REACHED = [
    *("position_split", "leg_adjusted taken", "new_order close_exceeds_leg"),
    *("mode hedging accepted", "mode net position_mode_in_use", "trade_correct applied"),
    *(f"status {name}" for name in layout.CODES["ord_status"] if name not in RARE),
    *("triggered released", "triggered refused", "trail_moved", "why day_end", "why group"),
    *(f"trade {name}" for name in ("applied", "overfill", "duplicate")),
    *(f"{kind} accepted" for kind in ("new_order", "cancel_order", "replace_order", "mass_cancel")),
    *(f"{kind} applied" for kind in ("new", "canceled", "replaced", "rejected", "expired")),
    *("order_status applied", "order_status gap", "suspended applied"),
    *("new stale", "replace held accepted", "crash in a step", "crash between steps"),
    *("place kept", "place lost", "place untold"),
    *("why peg", "terms pegged none day", "terms by_quote", "terms reduce_only", "terms post_only"),
]
"""What lives must meet, or the machine that makes them up has gone silent."""
ROUNDS = 12
"""Rounds of lives within which they must have met it: which ones do is a matter of luck."""


def test_lives_of_known_seeds_meet_every_status_answer_and_trigger() -> None:
    """Live the same lives each time, so that what they meet is asked for by name."""
    SEEN.clear()
    missing = REACHED
    for number in range(ROUNDS):
        lives = seed(number)(type("Lives", (Lives,), {}))
        run_state_machine_as_test(lives, settings=settings_of(60, database=None))
        missing = [what for what in REACHED if not SEEN[what]]
        if not missing:
            break
    assert not missing, ", ".join(missing)


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("rule_of", REPLACE_RULES)
def test_engine_and_oracle_agree_on_every_scene_at_every_kind_of_venue(
    rule_of: str, keeps: bool
) -> None:
    """Tell each short story either way where a replace is a replace, and where it is none."""
    SEEN.clear()
    for twist, mode in itertools.product((True, False), ("net", "hedging")):
        lives = Lives()
        queue = QUEUE_RULES[(REPLACE_RULES.index(rule_of) + 2 * keeps) % 4]
        ways = {"rule_of": rule_of, "queue": queue, "keeps": keeps, "versions": keeps}
        lives.begin(limit=10**6, mode=mode, **ways)
        for name in SCENES:
            lives.scene(name=name, twist=twist)
            lives.agree()
        lives.teardown()
    moves = {"moved released", "rejected move_lost"} if rule_of == "cancel_new" else set()
    parts = set() if keeps else {"moved released"}
    finds = {f"foreign adopted {word}" for word in ("new", "trade", "order_status", "suspended")}
    told = {
        "silence asked about",
        "foreign flagged canceled",
        "foreign flagged new",
        "why peg",
        "pegged follows",
    }
    assert moves | parts | finds | told <= set(SEEN)


def test_only_the_seam_of_the_oracle_knows_the_product() -> None:
    model = Path(__file__).parent / "model"
    told = {path.name for path in model.glob("*.py") if "pyoms" in path.read_text(encoding="utf-8")}
    assert told == {"seam.py"}
