"""Engine and oracle live the same random lives, and agree on every order, sum and event.

`tests.model` is an order management system of its own, in plain Python. Hypothesis drives both
with the same commands, facts and venue's words: late, doubled, permuted, crossing, foreign, absurd.
After every step verdict or disposition, the kinds of the events, every order, position and reserve
must be equal; at the end the log of the engine, folded by the model, must come to the same. A few
seconds here, as long as wanted with VERIFY_ORACLE_EXAMPLES.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
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
from tests.model.desk import NO_PRICE, ONE, Desk, Event
from tests.model.seam import Driven, assert_agree, code, fold_log, limit_order

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
    "books_max": 0,
}
ORDERS_MAX = 60

IDS = st.sampled_from([f"id{n}" for n in range(14)] + ["x" * 36, "", "two words", "n\n", "é"])
CHANGE_IDS = st.integers(1, 10**9).map(lambda n: f"c{n}") | IDS
QTYS = st.sampled_from([1, 1, 2, 3, 5, 8, 10, 40, 100]).map(lambda n: n * ONE)
ODD_QTYS = QTYS | st.sampled_from([0, -ONE, ONE // 2, 101 * ONE, 2000 * ONE, 2**62])
PRICES = st.integers(-6, 6).map(lambda n: 100 * ONE + n * TICK)
ODD_PRICES = PRICES | st.sampled_from([0, -TICK, TICK // 2, 50 * ONE, 150 * ONE])
SIDES = st.sampled_from(["buy", "sell", "buy", "sell", "sell_short", "sell_short_exempt", "9"])
EXEC_IDS = st.sampled_from(["", "E1", "E2", "E3", "E4", "E5"]) | st.integers(6, 500).map(
    lambda n: f"E{n}"
)
ACCOUNTS, INSTRUMENTS = st.sampled_from([1, 1, 1, 2, 3]), st.sampled_from([1, 1, 1, 2, 3])
SESSIONS = st.sampled_from([1, 1, 1, 1, 2, 3])
NEVER_SENT = ["new_order", "cancel", "replace", "gap_fill", "order_status"]
CALM = st.integers(0, 9)  # 0: the odd case


class Lives(RuleBasedStateMachine):
    """One engine, one model, one story."""

    @initialize(
        rule_of=st.sampled_from(["in_flight_counted", "in_flight_lost"]),
        limit=st.sampled_from([10**6, 10**4]),
        mode=st.sampled_from(["net", "hedging"]),
    )
    def begin(self, rule_of: str, limit: int, mode: str) -> None:
        oms = Engine(now_ns=START_NS, ring_slots=1 << 13, **SMALL)
        oms.define_venue("SIM", replace_rule=rule_of)
        oms.define_venue("ALT")
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
        oms.define_instrument("ES", tick="0.25", qty_max=1000, contract_multiplier=50, band=20_000)
        oms.define_instrument(
            "SPREAD",
            tick="0.25",
            qty_max=1000,
            venue="ALT",
            flags=layout.FLAG_NEGATIVE_PRICES | layout.FLAG_NO_BAND,
        )
        oms.limit_position("A1", "ES", net_qty_max=60)
        oms.quote("ES", "99.75", 1, "100.25", 1)
        self.engine = Driven(oms)
        self.model = Desk()
        for event in self.engine.new_events(0):
            self.model.apply(event)
        self.quote_model(1, 99 * ONE + 3 * TICK, 100 * ONE + TICK)
        self.reports: list[Event] = []

    def quote_model(self, instrument_id: int, bid: int, ask: int) -> None:
        event = {"kind": "quote", "instrument_id": instrument_id, "bid_px": bid, "ask_px": ask}
        self.model.apply(event)

    def both(self, kind: str, command: Event) -> None:
        taken = self.engine.command(kind, command)
        verb = {"new_order": "submit", "cancel_order": "cancel", "replace_order": "replace"}
        expected = getattr(self.model, verb.get(kind, kind))(command)
        verdict, kinds = expected
        assert taken == (verdict, kinds + self.model.sweep()), command

    def fact(self, kind: str, good: bool, fields: dict[str, Any], event: Event) -> None:
        """Feed a fact to both; a refused one leaves nothing."""
        verdict, events = self.engine.step(kind, **fields)
        assert verdict == ("accepted" if good else "definition_invalid"), (kind, fields)
        expected = []
        if good:
            self.model.apply({"kind": kind} | event)
            expected = [kind] if kind not in ("quote", "time_input") else []
        assert [e["kind"] for e in events] == expected + self.model.sweep()

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
            command["account_id"], command["session_id"] = of.account_id, of.session_id
            command["instrument_id"], command["strategy_id"] = of.instrument_id, of.strategy_id
            command["effect"] = of.effect
        if data.draw(CALM) < 4:
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
                        "time_in_force": st.sampled_from(["day", "ioc", "fok", "0"]),
                        "parent_order_seq": st.sampled_from([0, 1, 2, 77]),
                        "effect": st.sampled_from(["", "open", "close", "3"]),
                    },
                )
            )
            if command["ord_type"] == "market" and data.draw(CALM):
                command["price"] = 0
        self.both("new_order", command)

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
        if named and order is not None:
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
        self.both("replace_order", command | {"price": price, "order_qty": qty})

    @rule(data=st.data(), cl_ord_id=CHANGE_IDS, session_id=SESSIONS)
    def mass_cancel(self, data: Any, cl_ord_id: str, session_id: int) -> None:
        few = st.sampled_from([0, 0, 0, 1, 2, 3])
        command = {
            "cl_ord_id": cl_ord_id,
            "session_id": session_id,
            "account_id": data.draw(few),
            "instrument_id": data.draw(few),
            "of_session_id": data.draw(few),
            "strategy_id": data.draw(st.sampled_from([0, 0, 0, 1, 2])),
            "venue_id": data.draw(few),
            "side": data.draw(st.sampled_from(["", "", "buy", "sell", "sell_short"])),
        }
        self.both("mass_cancel", command)

    # A venue's words -----------------------------------------------------------------------------

    def tell(self, report: Event) -> None:
        self.reports.append(report)
        assert self.engine.report(report) == self.model.report(report), report

    @precondition(lambda self: self.model.orders)
    @rule(
        data=st.data(),
        exec_type=st.sampled_from(
            ["new", "canceled", "replaced", "rejected", "expired", "cancel_rejected"]
            + ["replace_rejected", "order_status", "unknown_order", "pending_new"]
            + ["trade"] * 8
            + ["new", "replaced", "trade_cancel", "trade_correct"] * 2
            + ["restated", "suspended", "stopped", "done_for_day", "calculated"]
        ),
        qty=QTYS,
        px=PRICES,
        exec_id=EXEC_IDS,
        revision=st.sampled_from(["own", "cancel", "replace", "first", "never"]),
        cum=st.sampled_from(["ours", "ours", "more", "less"]),
    )
    def venue_says(
        self,
        data: Any,
        exec_type: str,
        qty: int,
        px: int,
        exec_id: str,
        revision: str,
        cum: str,
    ) -> None:
        seq = self.some_seq(data)
        order = self.model.orders.get(seq) or next(iter(self.model.orders.values()))
        revisions = {"own": order.revision, "first": 0, "never": order.revision_last + 1}
        if order.canceling:
            revisions["cancel"] = order.canceling.revision
        if order.replacing:
            revisions["replace"] = order.replacing.revision
        if exec_type in ("cancel_rejected", "replaced", "replace_rejected") and data.draw(CALM):
            revision = "cancel" if exec_type == "cancel_rejected" else "replace"
        if revision == "never" and data.draw(CALM):
            revision = "own"
        if exec_type == "trade" and data.draw(st.booleans()):
            qty = min(qty, order.leaves_qty) or qty
        filled = order.cum_qty + (qty if exec_type == "trade" else 0)
        report: Event = {
            "street_epoch": order.epoch,
            "street_seq": seq,
            "street_revision": revisions.get(revision, order.revision),
            "exec_id": exec_id,
            "venue_id": order.venue_id,
            "trade_day": data.draw(st.sampled_from([0, 0, 0, 7, 8])),
            "exec_type": exec_type,
            "ord_status": data.draw(
                st.sampled_from(["new", "partially_filled", "filled", "canceled", "rejected"])
                | st.sampled_from(["expired", "pending_cancel", "pending_replace", "pending_new"])
                | st.sampled_from(["suspended", "stopped", "done_for_day", "calculated"])
            ),
            "last_px": px,
            "last_qty": qty,
            "cum_qty": {"ours": filled, "more": filled + ONE, "less": max(filled - ONE, 0)}[cum],
            "leaves_qty": data.draw(st.sampled_from([order.leaves_qty, 0, ONE])),
            "fee": data.draw(st.sampled_from([0, 0, 5, -3])),
            "transact_time_ns": self.model.now_ns,
        }
        if exec_type in ("trade_cancel", "trade_correct"):
            ids = [str(key[2]) for key in order.fills if isinstance(key[2], str)]
            report["exec_ref_id"] = data.draw(st.sampled_from([*ids, *ids, exec_id, "E1"]))
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
        self.tell(report)

    @precondition(lambda self: self.reports)
    @rule(data=st.data())
    def venue_says_again(self, data: Any) -> None:
        """Any earlier word once more: doubled, late and out of order."""
        self.tell(data.draw(st.sampled_from(self.reports)))

    # Facts ---------------------------------------------------------------------------------------

    @rule(bid=PRICES, ask=PRICES, gone=CALM)
    def quote(self, bid: int, ask: int, gone: int) -> None:
        if gone:
            bid, ask = min(bid, ask), max(bid, ask) + TICK
        if gone == 1:
            ask = NO_PRICE
        fields = {"instrument_id": 1, "bid_px": bid, "ask_px": ask, "bid_qty": 1, "ask_qty": 1}
        self.fact("quote", True, fields, fields)

    @rule(
        ms=st.sampled_from([1, 500, 999, 1000, 61_000, 24 * 3_600_000]),
        bid=st.just(100 * ONE - TICK),
    )
    def time_passes(self, ms: int, bid: int) -> None:
        if self.model.now_ns > START_NS + 3 * 24 * 3_600_000 * 1_000_000:
            ms = min(ms, 1000)  # the memory of fills is let go by day, which the model does not do
        self.model.now_ns += ms * 1_000_000
        self.engine.core.set_now_ns(self.model.now_ns)
        self.fact("time_input", True, {}, {})
        if ms > 1000:
            self.quote(bid, bid + TICK, 5)

    @rule(
        scope=st.sampled_from(["desk", "account", "instrument", "venue", "session", "strategy"]),
        target_id=st.sampled_from([1, 1, 2, 900]),
        mode=st.sampled_from(["open", "open", "open", "reduce_only", "cancel_only", "halt"]),
    )
    def kill(self, scope: str, target_id: int, mode: str) -> None:
        target_id = 0 if scope == "desk" else target_id
        fields = {"scope": code("scope", scope), "mode": code("kill_mode", mode)}
        event = {"scope": scope, "target_id": target_id, "mode": mode}
        self.fact("control", target_id != 900, fields | {"target_id": target_id}, event)

    @rule()
    def release_all(self) -> None:
        for scope, number in list(self.model.modes):
            self.kill(scope, number, "open")

    @rule(venue_id=st.sampled_from([1, 2, 900]), state=st.sampled_from(["up", "up", "down"]))
    def link(self, venue_id: int, state: str) -> None:
        fields = {"venue_id": venue_id, "state": code("link_state", state)}
        event = {"venue_id": venue_id, "state": state}
        self.fact("link_change", venue_id != 900, fields, event)

    @rule(
        venue_id=st.sampled_from([1, 2]),
        instrument_id=st.sampled_from([0, 1]),
        phase=st.sampled_from(["open", "open", "open", "pre_open", "auction", "halted", "closed"]),
    )
    def phase(self, venue_id: int, instrument_id: int, phase: str) -> None:
        event = {"venue_id": venue_id, "instrument_id": instrument_id, "phase": phase}
        fields = event | {"phase": code("phase", phase)}
        self.fact("phase_change", True, fields, event)

    @rule(trade_day=st.integers(1, 8), opened=st.sampled_from([0, 1, 1]), proved=st.booleans())
    def day(self, trade_day: int, opened: int, proved: bool) -> None:
        """Open a day, or close one that is not the present one: that says nothing of today."""
        trade_day = trade_day if opened else 9
        fields = {"venue_id": 1, "trade_day": trade_day, "opened": opened, "proved": int(proved)}
        self.fact("day_change", True, fields, fields)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data())
    def outcome_lost(self, data: Any) -> None:
        seq = self.some_seq(data)
        fields = {"order_seq": seq, "venue_id": 1}
        self.fact("outcome_unknown", self.model.may_lose(seq), fields, fields)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data(), msg_type=st.sampled_from(NEVER_SENT))
    def never_sent(self, data: Any, msg_type: str) -> None:
        event = {"order_seq": self.some_seq(data), "msg_type": msg_type}
        fields = event | {"venue_id": 1, "msg_type": code("msg_type", msg_type)}
        self.fact("dropped_unsent", self.model.may_drop(event), fields, event)

    @rule(
        qty=QTYS,
        px=PRICES,
        buys=st.booleans(),
        account_id=st.sampled_from([2, 2, 1]),
        leg=st.sampled_from(["net", "net", "long", "short"]),
    )
    def adjust(self, qty: int, px: int, buys: bool, account_id: int, leg: str) -> None:
        event: Event = {"account_id": account_id, "instrument_id": 1, "price": px}
        event["net_qty"] = qty if buys else -qty
        if leg == "net":
            self.fact("position_adjusted", self.model.may_adjust(event), event, event)
        else:
            fields = event | {"position_leg": code("position_leg", leg)}
            event["position_leg"] = leg
            self.fact("leg_adjusted", self.model.may_adjust(event), fields, event)

    @rule(account_id=st.sampled_from([1, 2]), mode=st.sampled_from(["net", "hedging"]))
    def change_mode(self, account_id: int, mode: str) -> None:
        """Only while nothing is open; the same mode again is no event."""
        hedging = mode == "hedging"
        fields = {"entity": code("entity", "account"), "name": f"A{account_id}".encode()}
        fields["level"] = code("account_level", "account")
        fields["flags"] = layout.ACCOUNT_HEDGING * hedging
        new = hedging != (account_id in self.model.hedging)
        fault = self.model.mode_fault(account_id, hedging)
        verdict, events = self.engine.step("definition", **fields)
        assert verdict == (fault or "accepted")
        expected = ["definition"] if new and not fault else []
        if expected:
            event = {"entity": "account", "id": account_id, "hedging": hedging}
            self.model.apply({"kind": "definition"} | event)
        assert [e["kind"] for e in events] == expected + self.model.sweep()

    @rule(recovering=st.sampled_from([0, 0, 0, 1]))
    def recover(self, recovering: int) -> None:
        fields = {"recovering": recovering}
        self.fact("desk_state", True, fields, fields)

    # Agreement -----------------------------------------------------------------------------------

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "model"):
            assert_agree(self.engine.core, self.model)

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        folded = Desk()
        assert fold_log(iter(self.engine.engine.events()), folded) == []
        folded.now_ns = self.model.now_ns
        folded.instruments[1].bid = NO_PRICE
        assert_agree(self.engine.core, folded)


def test_engine_and_oracle_agree_on_any_life() -> None:
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=int(os.environ.get("VERIFY_ORACLE_EXAMPLES", "100")),
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_only_the_seam_of_the_oracle_knows_the_product() -> None:
    model = Path(__file__).parent / "model"
    told = {path.name for path in model.glob("*.py") if "pyoms" in path.read_text(encoding="utf-8")}
    assert told == {"seam.py"}
