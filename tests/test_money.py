"""Money from Python: exact at any size, split at zero, legs apart, and shown so.

The engine's own tests hold its sums against lists (rust/engine/tests/money.rs); here the oracle's
whole numbers, which have no end, hold them at the ends of 64 and 128 bits, and what people read is
held to it: positions, events, strategies.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyoms import look
from pyoms.engine import Engine
from pyoms.errors import EngineError
from pyoms.records import record
from pyoms.strategy import Dispatcher, Strategy
from pyoms_core import layout
from pyoms_core.layout import ONE
from tests.model.money import LEGS, Booking, fold, total
from tests.model.seam import position_of, street_id, sums_of

SMALL = {
    "orders_max": 64,
    "ids_max": 256,
    "fills_max": 256,
    "accounts_max": 2,
    "instruments_max": 2,
    "log_reserve": 64,
    "books_max": 0,
}
SIDES = (("buy", "open"), ("sell", "open"), ("sell", "close"), ("buy", "close"))
I64_MAX = 2**63 - 1


def made(position_mode: str = "net") -> Engine:
    oms = Engine(ring_slots=1 << 12, **SMALL)
    oms.define_account("A1", position_mode=position_mode)
    flags = layout.FLAG_NEGATIVE_PRICES | layout.FLAG_NO_BAND
    oms.define_instrument("ES", tick="0.25", contract_multiplier=50, flags=flags)
    return oms


def traded(oms: Engine, side: str, effect: str, qty: int, px: str, **fill: Any) -> str:
    sent = oms.submit("ES", side, qty, px, position_effect=effect)
    assert sent, sent.sentence
    return oms.report(sent.order_seq, "trade", last_qty=qty, last_px=px, **fill)


EDGES = st.sampled_from([1, I64_MAX, I64_MAX - 1, 2**62, 2**40]) | st.integers(1, I64_MAX)
PRICES = st.sampled_from([0, 1, -1, 2**40, -(2**40), I64_MAX, -I64_MAX]) | st.integers(
    -(2**63), I64_MAX
)
FILLS = st.tuples(
    st.sampled_from(SIDES), EDGES | st.integers(1, 99), PRICES, st.integers(-(2**63) + 1, I64_MAX)
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["net", "hedging"]), st.lists(FILLS, min_size=1, max_size=25))
@example("net", [(SIDES[0], I64_MAX, 2**40, 7), (SIDES[1], I64_MAX - 1, 3, -7)] * 2)
@example("net", [(SIDES[0], 3, 2**62, 0), (SIDES[0], 4, 2**62 - 1, 0), (SIDES[1], 5, 1, 0)])
def test_sums_at_the_ends_of_their_range_are_those_of_endless_numbers(
    mode: str, fills: list[Any]
) -> None:
    oms = made(mode)
    booked: list[Booking] = []
    seqs: dict[Any, int] = {}
    for number, ((side, effect), qty, px, fee) in enumerate(fills):
        sides = (side, effect if mode == "hedging" else "none")
        if sides not in seqs:
            if sides[1] == "close":  # something must be there when the order is sent
                leg = "long" if side == "sell" else "short"
                signed = ONE if leg == "long" else -ONE
                code = layout.CODES["position_leg"][leg].code
                before = oms.core.legs(1, 1)[code - 1]["net_qty"]
                if before * signed < 0 or abs(before) < ONE:
                    continue
            sent = oms.submit("ES", side, 1, "100", position_effect=sides[1])
            assert sent, sent.sentence
            seqs[sides] = sent.order_seq
        row = record(
            "execution_report",
            street_id=street_id(oms.core.counters()["epoch"], seqs[sides], 0),
            exec_id=f"X{number}",
            venue_id=1,
            exec_type=layout.CODES["exec_type"]["trade"].code,
            last_qty=qty,
            last_px=px,
            fee=fee,
            transact_time_ns=number + 1,
        )
        leg = "net"
        if mode == "hedging":
            leg = "long" if (side == "buy") != (effect == "close") else "short"
        taken = layout.NAMES["disposition"][oms.core.report(row)]
        if taken in ("applied", "overfill", "late"):
            booked.append(Booking(qty if side == "buy" else -qty, px, fee, leg=leg))
        else:
            assert taken == "malformed"
        assert position_of(oms.core.position(1, 1)) == sums_of(total(booked))
        legs = oms.core.legs(1, 1)
        assert [position_of(row) for row in legs] == [
            sums_of(fold(booked, leg)) for leg in LEGS[1:] if mode == "hedging"
        ]
    for told in oms.positions():
        whole = total(booked)
        assert Fraction(told["realised"]) == Fraction(whole.realised_points * 50, 10**18)
        assert Fraction(told["fees_paid"]) == Fraction(whole.fees, ONE)


def test_a_fill_through_zero_is_shown_as_a_close_and_an_open() -> None:
    oms = made()
    traded(oms, "buy", "none", 10, "100")
    before = oms.event_seq
    traded(oms, "sell", "none", 15, "110", exec_id="X2", fee="-0.000000010")
    told = [
        look.tell_event(oms.core.record(seq) or b"") for seq in range(before + 1, oms.event_seq + 1)
    ]
    (split,) = [row for row in told if row["kind"] == "position_split"]
    report = told[told.index(split) - 1]
    assert (report["kind"], report["exec_id"]) == ("execution_report", "X2")
    shown_as = ("close_qty", "open_qty", "close_fee", "open_fee", "last_px", "realised_points")
    assert [split[name] for name in shown_as] == [
        *("10", "5", "-0.000000007", "-0.000000003", "110", "100"),
    ]
    assert (split["exec_id"], split["side"], split["position_leg"]) == ("X2", "sell", "net")
    assert (split["account_id"], split["over_close"]) == (1, 0)


@pytest.mark.parametrize(
    ("points", "text"),
    [
        (0, "0"),
        (-(10**18), "-1"),
        (5 * 10**17, "0.5"),
        (-1, "-0.000000000000000001"),
        (2**126, "85070591730234615865.843651857942052864"),
    ],
)
def test_points_are_told_to_the_last_digit(points: int, text: str) -> None:
    assert look.points_text(points) == text


def test_positions_of_a_hedging_account_show_the_whole_and_both_legs() -> None:
    oms = made("hedging")
    traded(oms, "buy", "open", 10, "100")
    traded(oms, "sell", "open", 6, "103")
    traded(oms, "sell", "close", 4, "105", fee=2)
    rows = look.position_rows(oms.core)
    told = [(row["position_leg"], row["net_qty"], str(Fraction(row["realised"]))) for row in rows]
    assert told == [
        ("net", "0", "1000"),
        ("long", "6", "1000"),
        ("short", "-6", "0"),
    ]
    (position,) = oms.positions()
    long, short = position["legs"]
    assert (long["average_px"], short["average_px"]) == ("100", "103")
    assert (long["fees_paid"], short["fees_paid"]) == ("2", "0")
    assert oms.position("A1", "ES")["legs"] == [long, short]
    assert made().position("A1", "ES")["legs"] == []


def test_an_order_says_by_name_whether_it_opens_or_closes() -> None:
    oms = made("hedging")
    assert oms.submit("ES", "buy", 1, "100").sentence == (
        "position effect 0 is not taken: a hedging account's order says 1 open or 2 close"
    )
    traded(oms, "buy", "open", 3, "100")
    refused = oms.submit("ES", "sell", 4, "100", position_effect="close")
    assert refused.sentence == "a close of 4 is above the 3 of the leg that no order closes yet"
    gate = oms.gate("ES", position_effect="close")
    parent = gate.submit("p", layout.CODES["side"]["sell"].code, 100 * ONE, ONE, is_parent=True)
    assert parent == 0
    again = gate.submit("c", layout.CODES["side"]["sell"].code, 100 * ONE, 3 * ONE)
    assert again == 0, "the effect is bound and stays behind a parent's bit"
    rows = oms.blank_orders(1, "ES", position_effect="open")
    rows["cl_ord_id"], rows["side"], rows["price"], rows["order_qty"] = b"b", 1, 100 * ONE, ONE
    assert list(oms.submit_many(rows)) == [0]


def test_a_mode_that_is_in_use_is_refused_in_a_sentence() -> None:
    oms = made()
    oms.submit("ES", "buy", 1, "100")
    with pytest.raises(EngineError, match="live order or an open position"):
        oms.define_account("A1", position_mode="hedging")


class Legs(Strategy):
    """Sell what it holds and as much again; notes what it is told of its fills."""

    def __init__(self) -> None:
        super().__init__("S", account="A1", session="S1")
        self.told: list[tuple[str, Any]] = []

    def on_event(self, e: Any) -> None:
        if e.kind_name == "position_split":
            self.told.append((e.name("position_leg"), (e.close_qty, e.open_qty)))


def test_a_strategy_opens_and_closes_legs_and_is_told_of_a_fill_through_zero() -> None:
    oms = made("hedging")
    oms.define_strategy("S")
    strategy = Legs()
    dispatcher = Dispatcher(oms, [strategy])
    dispatcher.run_once()
    for side, effect in (("buy", "open"), ("sell", "close")):
        strategy.oms.submit("ES", side, 2, "100", position_effect=effect)
        dispatcher.run_once()
        seq = oms.orders()[-1]["order_seq"]
        oms.report(seq, "trade", last_qty=2 if effect == "open" else 5, last_px="100")
        dispatcher.run_once()
    assert strategy.told == [("long", (2 * ONE, 3 * ONE))]
    legs = strategy.oms.position("ES")["legs"]
    assert [leg["net_qty"] for leg in legs] == [-3 * ONE, 0]
