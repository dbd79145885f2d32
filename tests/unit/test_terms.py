"""Order terms from Python: each reaches the log as it was given, or is refused by its bound."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from examples.bracket import Bracket
from pyoms.errors import EngineError, NumberError, OmsError
from pyoms.strategy import Dispatcher, Strategy
from pyoms.terms import offer_of
from pyoms_core import layout
from pyoms_core.layout import CODES, ONE
from tests.unit.test_engine import made

DAY = dt.date(2030, 1, 2)
TIME = dt.datetime(2030, 1, 2, 15, 30, tzinfo=ZoneInfo("America/Chicago"))
TIME_NS = 1893619800 * 10**9


def oms_with_trade():
    """Give an engine that has seen a trade, from which a trailing stop can start."""
    oms = made(books_max=1, book_orders_max=64, book_levels_max=64)
    oms.take(
        "book_update",
        instrument_id=oms.id_of("instrument", "ESH4"),
        action=CODES["book_action"]["trade"].code,
        price=4820 * ONE,
        qty=ONE,
        flags=1,
    )
    oms.quote("ESH4", "4820.00", 12, "4820.25", 9)
    return oms


def logged(oms, order_seq):
    """Give the terms record of an order, as the log holds it."""
    rows = [row for batch in oms.events() for row in batch.of("order_terms")]
    (row,) = [row for row in rows if row["order_seq"] == order_seq]
    return row


# side, price, terms                             ord_type            ord_status    in the log
TAKEN = [
    ("sell", None, {"stop_px": "4810"}, "stop", "held", {"stop_px": 4810 * ONE}),
    ("sell", "4809", {"stop_px": "4810"}, "stop_limit", "held", {"stop_px": 4810 * ONE}),
    (
        *("sell", None, {"stop_px": "4830", "ord_type": "market_if_touched"}),
        *("market_if_touched", "held", {"stop_px": 4830 * ONE}),
    ),
    (
        *("buy", "4811", {"stop_px": "4810", "ord_type": "limit_if_touched"}),
        *("limit_if_touched", "held", {"stop_px": 4810 * ONE}),
    ),
    ("sell", None, {"trail": "5"}, "trailing_stop", "held", {"trail": 5 * ONE, "exec_inst": 0}),
    (
        *("sell", None, {"trail_ppm": 5_000}),
        *("trailing_stop", "held", {"trail": 5_000, "exec_inst": layout.EXEC_TRAIL_PPM}),
    ),
    (
        *("sell", None, {"stop_px": "4810", "exec_inst": "by_quote"}),
        *("stop", "held", {"exec_inst": layout.EXEC_BY_QUOTE}),
    ),
    (
        *("buy", "4819", {"time_in_force": "gtd", "expire_time": TIME}),
        *("limit", "pending_new", {"expire_time_ns": TIME_NS}),
    ),
    (
        *("buy", "4819", {"time_in_force": "gtd", "expire_time": TIME_NS}),
        *("limit", "pending_new", {"expire_time_ns": TIME_NS}),
    ),
    (
        *("buy", "4819", {"time_in_force": "gtd", "expire_date": DAY}),
        *("limit", "pending_new", {"expire_day": 21_916}),
    ),
    (
        *("buy", "4819", {"time_in_force": "gtd", "expire_date": "2030-01-02"}),
        *("limit", "pending_new", {"expire_day": 21_916}),
    ),
    (
        *("buy", "4819", {"time_in_force": "at_close"}),
        *("limit", "pending_new", {"expire_day": 0}),
    ),
    (
        *("buy", "4819", {"exec_inst": "post_only"}),
        *("limit", "pending_new", {"exec_inst": layout.EXEC_POST_ONLY}),
    ),
    ("buy", "4819", {"max_floor": 1}, "limit", "pending_new", {"max_floor": ONE}),
    (
        *("buy", "4819", {"contingency": "oco"}),
        *("limit", "pending_new", {"contingency": 1, "group_seq": 0}),
    ),
]


@pytest.mark.parametrize(("side", "price", "terms", "ord_type", "status", "expected"), TAKEN)
def test_every_type_and_term_reaches_the_log_as_it_was_given(
    side, price, terms, ord_type, status, expected
):
    oms = oms_with_trade()
    verdict = oms.submit("ESH4", side, 2, price, **terms)
    assert verdict, str(verdict)
    order = oms.order(verdict.order_seq)
    assert (order["ord_type"], order["ord_status"]) == (ord_type, status)
    row = logged(oms, verdict.order_seq)
    assert {field: int(row[field]) for field in expected} == expected
    plain = oms.submit("ESH4", "buy", 1, "4819")
    assert plain, "nothing of the offer is left for the next order"


@pytest.mark.parametrize(("side", "price", "terms", "ord_type", "status", "expected"), TAKEN)
def test_a_strategy_sends_the_same_terms(side, price, terms, ord_type, status, expected):
    oms = oms_with_trade()
    oms.define_strategy("own")
    strategy = Strategy("own", account="A1", session="S1")
    dispatcher = Dispatcher(oms, [strategy])
    dispatcher.run_once()
    strategy.oms.submit("ESH4", side, 2, price, **terms)
    (order,) = oms.orders()
    assert (order["ord_type"], order["ord_status"]) == (ord_type, status)
    row = logged(oms, order["order_seq"])
    assert {field: int(row[field]) for field in expected} == expected


# terms                                             the gate's own refusal
REFUSED = [
    ({"ord_type": "stop"}, "stop_px_invalid"),
    ({"stop_px": "4810.10"}, "stop_px_invalid"),
    ({"trail": "0.10"}, "trail_invalid"),
    ({"price": "4819", "time_in_force": "gtd"}, "expire_invalid"),
    ({"price": "4819", "time_in_force": "gtd", "expire_time": 1}, "expire_invalid"),
    ({"price": "4819", "expire_time": TIME}, "expire_invalid"),
    ({"price": "4819", "time_in_force": "at_open"}, "phase_not_for_tif"),
    ({"price": "4815", "exec_inst": ["post_only"]}, "post_only_crosses"),
    ({"price": "4819", "exec_inst": ("post_only", "reduce_only")}, "post_only_crosses"),
    ({"price": "4821", "exec_inst": "reduce_only"}, "reduce_only_exceeds"),
    ({"price": "4821", "max_floor": 3}, "max_floor_invalid"),
    ({"price": "4821", "contingency": "oco", "group": 77}, "group_unknown"),
    ({"price": "4821", "group": 77}, "contingency_invalid"),
]


@pytest.mark.parametrize(("terms", "verdict"), REFUSED)
def test_what_the_gate_does_not_allow_is_a_verdict_and_leaves_nothing(terms, verdict):
    oms = oms_with_trade()
    refused = oms.submit("ESH4", "sell", 2, **terms)
    assert refused.name == verdict
    assert not oms.orders()
    assert oms.submit("ESH4", "buy", 1, "4819")


# terms                                                     what is said of them
WRONG = [
    ({"stop_px": "4810.0000000001"}, NumberError, "stop_px .* has 10 decimals, at most 9"),
    ({"stop_px": float("nan")}, NumberError, "stop_px nan is not a number"),
    ({"trail": 0}, NumberError, "trail 0 must be above 0"),
    ({"trail": "-1"}, NumberError, "trail -1 must be above 0"),
    ({"trail_ppm": 1_000_000}, EngineError, "trail_ppm 1000000 is not within 1 to 999999"),
    ({"trail_ppm": "5"}, EngineError, "trail_ppm '5' is a str: give a whole number"),
    ({"trail": 1, "trail_ppm": 1}, EngineError, "trail 1 and trail_ppm 1: give one of them"),
    ({"expire_time": dt.datetime(2030, 1, 1)}, EngineError, "has no zone: give one"),
    ({"expire_time": 0}, EngineError, "expire_time 0 is not within 1 to"),
    ({"expire_date": "2030-13-01"}, EngineError, "'2030-13-01' is no date: write YYYY-MM-DD"),
    ({"expire_date": dt.date(2200, 1, 1)}, EngineError, "is not within 1970-01-02 to 2149-06-06"),
    ({"expire_date": 21_916}, EngineError, "expire_date 21916 is a int: give a date"),
    (
        *({"expire_time": TIME, "expire_date": DAY}, EngineError),
        "expire_date 2030-01-02: give one of them",
    ),
    ({"max_floor": 0}, NumberError, "max_floor 0 must be above 0"),
    ({"exec_inst": "post-only"}, EngineError, "'post-only' is not one of post_only, reduce_only"),
    ({"exec_inst": 1}, EngineError, "exec_inst 1 is a int: give a name or several"),
    ({"peg": "middle"}, EngineError, "peg_type 'middle' is not one of none, bid, ask, mid"),
    ({"peg_offset": "0.25"}, EngineError, "peg_offset 0.25 without a peg: give peg"),
    ({"contingency": "both"}, EngineError, "contingency 'both' is not one of none, oco"),
    ({"group": -1}, EngineError, "group -1 is not within 1 to"),
    ({"time_in_force": "gtx"}, EngineError, "time_in_force 'gtx' is not one of day, gtc"),
    ({"ord_type": "iceberg"}, EngineError, "ord_type 'iceberg' is not one of market, limit"),
]


@pytest.mark.parametrize(("terms", "error", "told"), WRONG)
def test_a_term_that_no_field_holds_names_field_value_bound_and_what_to_give(terms, error, told):
    oms = made()
    before = oms.event_seq
    with pytest.raises(error, match=told):
        oms.submit("ESH4", "sell", 2, "4821", **terms)
    assert oms.event_seq == before
    strategy = Strategy("", account="A1", session="S1")
    Dispatcher(oms, [strategy]).run_once()
    with pytest.raises((OmsError, TypeError)):
        strategy.oms.submit("ESH4", "sell", 2, "4821", **terms)
    assert oms.event_seq == before


def test_an_unknown_term_is_named_with_those_that_are():
    with pytest.raises(EngineError, match="stop is no term of an order: allowed are stop_px"):
        offer_of({"stop": 1})  # type: ignore[typeddict-unknown-key]
    oms = made()
    strategy = Strategy("", account="A1", session="S1")
    Dispatcher(oms, [strategy]).run_once()
    with pytest.raises(EngineError, match="stop is no term of an order"):
        strategy.oms.submit("ESH4", "sell", 1, "4821", stop="4810")  # type: ignore[call-arg]
    with pytest.raises(EngineError, match="stop is no term of an order"):
        oms.submit("ESH4", "sell", 1, "4821", stop="4810")


def test_a_pegged_order_goes_out_at_its_peg_and_is_replaced_when_that_moves():
    oms = oms_with_trade()
    pegged = oms.submit("ESH4", "buy", 2, "4820.50", peg="bid", peg_offset="-0.25")
    assert pegged.accepted
    row = logged(oms, pegged.order_seq)
    assert (row["peg_type"], row["peg_offset"]) == (CODES["peg_type"]["bid"].code, -ONE // 4)
    (order,) = oms.orders()
    assert (order["ord_type"], order["price"]) == ("pegged", 481_975 * ONE // 100)
    oms.report(pegged.order_seq, "new")
    oms.now_ns += 1_000_000_000
    oms.quote("ESH4", "4822.00", 12, "4822.25", 9)
    sent = [row for batch in oms.events() for row in batch.of("routed")]
    told = [(layout.NAMES["msg_type"][int(row["msg_type"])], int(row["price"])) for row in sent]
    worst = ("replace", 482_050 * ONE // 100)  # a quarter below the bid is above what it may pay
    assert told == [("new_order", 481_975 * ONE // 100), worst]


def test_the_answer_to_a_replace_tells_its_place_in_the_queue_by_the_rule_of_the_venue():
    oms = made()
    told = []
    for rule in ("untold", "quantity_down", "none"):
        oms.define_venue("SIM", queue_rule=rule)
        seq = oms.submit("ESH4", "buy", 3, "4819").order_seq
        oms.report(seq, "new")
        assert oms.replace(seq, price="4819", qty=2)
    for batch in oms.events():
        told += [
            layout.NAMES["queue_priority"][int(row["priority"])]
            for row in batch.of("replace_accepted")
        ]
    assert told == ["untold", "kept", "lost"]


def test_a_replace_moves_the_stop_of_a_held_order_and_keeps_it_where_none_is_given():
    oms = made()
    seq = oms.submit("ESH4", "sell", 2, "4809", stop_px="4810").order_seq
    assert oms.replace(seq, price="4808", qty=3, stop_px="4809")
    order = oms.order(seq)
    assert (order["price"], order["order_qty"], order["ord_status"]) == (
        *(4808 * ONE, 3 * ONE, "held"),
    )
    (replaced,) = [row for batch in oms.events() for row in batch.of("replace_accepted")]
    assert replaced["stop_px"] == 4809 * ONE
    assert oms.replace(seq, price="4807", qty=3)
    last = [row for batch in oms.events() for row in batch.of("replace_accepted")][-1]
    assert last["stop_px"] == 4809 * ONE
    off_tick = oms.replace(seq, price="4807", qty=3, stop_px="4809.10")
    assert off_tick.name == "stop_px_invalid"
    assert oms.submit("ESH4", "buy", 1, "4819"), "the refused offer is gone too"


def test_an_order_without_a_limit_price_is_replaced_without_one():
    oms = made()
    seq = oms.submit("ESH4", "sell", 2, stop_px="4810", cl_ord_id="mine").order_seq
    assert oms.replace(seq, price=None, qty=1)
    assert oms.replace("mine", price=None, qty=1, stop_px="4809")
    assert oms.replace(seq, price="4809", qty=1).name == "price_not_allowed"
    limit = oms.submit("ESH4", "buy", 1, "4819").order_seq
    with pytest.raises(EngineError, match=r"price None for order \d+, a limit: give its"):
        oms.replace(limit, price=None, qty=2)


def test_a_stop_price_for_an_order_that_has_none_is_refused_and_forgotten():
    oms = made()
    seq = oms.submit("ESH4", "buy", 1, "4819").order_seq
    assert oms.replace(seq, price="4818", qty=1, stop_px="4810").name == "terms_not_allowed"
    assert oms.submit("ESH4", "buy", 1, "4819")
    gone = oms.replace(seq + 100, price="4818", qty=1, stop_px="4810")
    assert gone.name == "order_unknown"
    assert oms.submit("ESH4", "buy", 1, "4819")


def test_a_child_of_a_parent_and_a_repeated_order_carry_their_terms():
    oms = made()
    parent = oms.submit("ESH4", "buy", 5, "4819", is_parent=True).order_seq
    child = oms.submit(
        "ESH4", "buy", 2, "4819", parent=parent, exec_inst="post_only", cl_ord_id="child"
    )
    assert child, str(child)
    assert oms.order(child.order_seq)["parent_order_seq"] == parent
    again = oms.submit(
        "ESH4", "buy", 2, "4819", parent=parent, exec_inst="post_only", cl_ord_id="child"
    )
    assert (again.accepted, again.order_seq) == (True, child.order_seq)
    other = oms.submit("ESH4", "buy", 2, "4819", parent=parent, cl_ord_id="child")
    assert other.name == "duplicate_id", "the terms belong to the body"
    assert oms.submit("ESH4", "buy", 2, "4819", is_parent=True, max_floor=1).name == (
        "terms_not_allowed"
    )


def round_trip():
    """Give the worked example, its entry filled."""
    oms = made()
    oms.define_strategy("bracket")
    strategy = Bracket("bracket", account="A1", session="S1")
    strategy.take_params({"price": "4819.00", "qty": "2", "gain": "4", "loss": "2"})
    dispatcher = Dispatcher(oms, [strategy])
    dispatcher.run_once()
    assert [oms.order(seq)["ord_status"] for seq in (strategy.target, strategy.stop)] == [
        "held"
    ] * 2
    oms.report(strategy.entry, "new")
    oms.report(strategy.entry, "trade", last_qty=2, last_px="4819")
    oms.take("time_input")
    dispatcher.run_once()
    return oms, dispatcher, strategy


def test_the_example_hangs_its_ways_out_on_the_entry_and_one_cancels_the_other():
    oms, dispatcher, strategy = round_trip()
    target, stop = oms.order(strategy.target), oms.order(strategy.stop)
    assert (target["ord_status"], target["price"]) == ("pending_new", 4823 * ONE)
    assert stop["ord_status"] == "held"
    oms.report(strategy.target, "new")
    oms.report(strategy.target, "trade", last_qty=2, last_px="4823")
    oms.take("time_input")
    dispatcher.run_once()
    assert oms.order(strategy.stop)["ord_status"] == "canceled"
    assert oms.position("A1", "ESH4")["net_qty"] == 0


def test_the_example_moves_its_stop_to_the_entry_and_the_stop_gets_it_out():
    oms, dispatcher, strategy = round_trip()
    oms.report(strategy.target, "new")
    oms.quote("ESH4", "4821", 10, "4821.25", 10)
    dispatcher.run_once()
    assert strategy.moved
    (moved,) = [row for batch in oms.events() for row in batch.of("replace_accepted")]
    assert moved["stop_px"] == 4819 * ONE
    oms.quote("ESH4", "4819", 10, "4819.25", 10)
    by_price = [
        (row["order_seq"], row["trigger_px"])
        for batch in oms.events()
        for row in batch.of("triggered")
        if row["by_order_seq"] == 0
    ]
    assert by_price == [(strategy.stop, 4819 * ONE)]
    oms.report(strategy.stop, "new")
    oms.report(strategy.stop, "trade", last_qty=2, last_px="4819")
    oms.take("time_input")
    oms.report(strategy.target, "canceled")
    dispatcher.run_once()
    assert [oms.order(seq)["ord_status"] for seq in (strategy.target, strategy.stop)] == [
        *("canceled", "filled"),
    ]
    assert oms.position("A1", "ESH4")["net_qty"] == 0
