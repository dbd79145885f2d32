"""The inline engine: bad input is told by name, value and bound; batches equal singles."""

import copy
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyoms.engine import Engine
from pyoms.errors import EngineError, GateError, NumberError, OmsError, UnknownNameError
from pyoms.look import tell_event
from pyoms.numbers import Fixed
from pyoms.oms import open_desk
from pyoms.records import record
from pyoms_core import dispatch, layout
from pyoms_core.gate import Verdict
from pyoms_core.layout import CODES, KINDS, NAMES, ONE

SMALL = {
    "orders_max": 1 << 10,
    "ids_max": 1 << 11,
    "fills_max": 1 << 10,
    "accounts_max": 4,
    "instruments_max": 4,
    "throttle_orders_max": 64,
    "books_max": 0,
}
EXAMPLE = Path(__file__).parents[2] / "examples/desk.toml"
START_NS = 1_700_000_000_000_000_000


def made(**more):
    oms = Engine(now_ns=START_NS, ring_slots=1 << 13, **{**SMALL, **more})
    oms.define_account("A1", order_qty_max=100)
    oms.define_instrument("ESH4", tick="0.25", contract_multiplier=50, qty_max=500)
    oms.limit_position("A1", "ESH4", net_qty_max=200)
    oms.quote("ESH4", "4820.00", 12, "4820.25", 9)
    return oms


@pytest.fixture
def oms():
    return made()


REFUSED = [
    # (side, qty, price)          verdict, words of the sentence
    (("buy", 0, "4820"), "qty_not_positive", "order_qty 0 must be above 0"),
    (("buy", -3, "4820"), "qty_not_positive", "order_qty -3 must be above 0"),
    (("buy", 1, "4820.10"), "price_off_tick", "price 4820.1 is not a multiple of the tick 0.25"),
    (("buy", "1.5", "4820"), "qty_off_lot", "order_qty 1.5 is not a multiple of the lot 1"),
    (("buy", 501, "4820"), "qty_above_max", "501 is above the instrument's maximum 500"),
    (("buy", 101, "4820"), "order_qty_limit", "order_qty 101 is above the limit 100"),
    (("buy", 1, "5000"), "price_above_band", "price 5000 is above the band 4916.655"),
    (("sell", 1, "4000"), "price_below_band", "price 4000 is below the band 4723.6"),
    (("buy", "9223372036", "4820"), "qty_above_max", "order_qty 9223372036 is above"),
]


@pytest.mark.parametrize(("order", "verdict", "words"), REFUSED)
def test_refusal_is_a_value_with_its_numbers(oms, order, verdict, words):
    answer = oms.submit("ESH4", *order)
    assert not answer
    assert answer.name == verdict
    assert words in str(answer)
    assert oms.orders() == []


RAISED = [
    # price, qty                 words of the error
    (("nan", 1), "price 'nan' is not a decimal number"),
    ((float("nan"), 1), "price nan is not a number within"),
    ((float("inf"), 1), "price inf is not a number within"),
    ((-float("inf"), 1), "price -inf is not a number within"),
    (("4820.1234567891", 1), "has 10 decimals, at most 9 are allowed"),
    ((4820.1234567891, 1), "has 10 decimals, at most 9 are allowed"),
    (("4820", float("nan")), "order_qty nan is not a number"),
    (("9223372037", 1), "is out of range, at most ±9223372036.854775807 is allowed"),
    (("4820", 2**70), "is out of range"),
    (("4820", Fixed(2**63)), "is not within ±9223372036854775807"),
    ((True, 1), "is a bool"),
    (([1], 1), "is a list"),
]


@pytest.mark.parametrize(("numbers", "words"), RAISED)
def test_number_that_fixed_point_cannot_hold_is_never_sent(oms, numbers, words):
    before = oms.core.event_seq
    with pytest.raises(NumberError, match=None) as raised:
        oms.submit("ESH4", "buy", numbers[1], numbers[0])
    assert words in str(raised.value)
    assert isinstance(raised.value, ValueError)
    assert oms.core.event_seq == before


def test_finite_float_with_exact_text_is_taken(oms):
    assert oms.submit("ESH4", "buy", 1.0, 4820.25)
    assert oms.orders()[0]["price"] == 4820_250_000_000


@pytest.mark.parametrize(
    ("price", "qty"),
    [(np.float64(4820.25), np.float64(2.0)), ("4820.25", np.int64(2)), (4820.25, np.uint8(2))],
)
def test_number_of_numpy_is_taken(oms, price, qty):
    oms.quote("ESH4", np.float64(4820.0), np.int64(12), np.float64(4820.25), np.int32(9))
    assert oms.quote_of("ESH4")["ask_px"] == 4820_250_000_000
    assert oms.submit("ESH4", "buy", qty, price)
    assert oms.replace(1, price=price, qty=qty + 1).name != "price_off_tick"
    order = oms.orders()[0]
    assert (order["price"], order["order_qty"]) == (4820_250_000_000, 2 * ONE)


@pytest.mark.parametrize(
    "price", [np.float64("nan"), np.float64("inf"), np.float64(0.1) * 3, np.True_, np.zeros(2)]
)
def test_number_of_numpy_that_is_not_exact_is_refused(oms, price):
    with pytest.raises(NumberError, match="price"):
        oms.submit("ESH4", "buy", 1, price)
    with pytest.raises(NumberError, match="bid"):
        oms.quote("ESH4", price, 1, None, 0)


BAD_TERMS = [
    ({"tick": 0}, "tick 0 must be above 0"),
    ({"tick": "-0.25"}, "tick -0.25 must be above 0"),
    ({"tick": 1, "lot": 0}, "lot 0 must be above 0"),
    ({"tick": 1, "qty_min": 0}, "qty_min 0 must be above 0"),
    ({"tick": 1, "qty_min": 5, "qty_max": 4}, "qty_max 4 must be at least 5"),
    ({"tick": 1, "contract_multiplier": -1}, "contract_multiplier -1 must be above 0"),
    ({"tick": 1, "band": -1}, "band -1 is not within 0 to 9223372036854775807"),
    ({"tick": 1, "band": 0.5}, "band 0.5 is a float: give a whole number"),
    ({"tick": 1, "reference_age_ms_max": 2**32}, "reference_age_ms_max 4294967296 is not within"),
    ({"tick": 1, "venue": "NONE"}, "venue 'NONE' is not defined"),
]


@pytest.mark.parametrize(("terms", "words"), BAD_TERMS)
def test_bad_terms_name_their_field_and_define_nothing(oms, terms, words):
    before = oms.core.event_seq
    with pytest.raises(OmsError) as raised:
        oms.define_instrument("X1", **terms)
    assert words in str(raised.value)
    assert oms.core.event_seq == before


BAD_LIMITS = [
    (lambda oms: oms.limit_position("A1", "ESH4", net_qty_max=-5), "net_qty_max -5 must be at"),
    (lambda oms: oms.define_account("A2", order_qty_max=-1), "order_qty_max -1 must be at least 0"),
    (
        lambda oms: oms.define_account("A2", net_notional_max=-1),
        "net_notional_max -1 is not within",
    ),
    (lambda oms: oms.define_account("A2", window_ms=2**62), "window_ms 4611686018427387904 is not"),
    (lambda oms: oms.define_currency("EUR", 0), "rate 0 must be above 0"),
    (lambda oms: setattr(oms, "now_ns", -1), "now_ns -1 is not within 0 to"),
    (lambda oms: setattr(oms, "now_ns", 1.5), "now_ns 1.5 is a float"),
    (lambda _: Engine(now_ns=-1), "now_ns -1 is not within 0 to 9223372036854775807"),
    (lambda _: Engine(ring_slots=-1), "ring_slots -1 is not within"),
    (lambda _: Engine(orders_max=-1), "orders_max -1 is not within"),
]


@pytest.mark.parametrize(("call", "words"), BAD_LIMITS)
def test_bad_limit_or_clock_is_told_and_nothing_is_taken(oms, call, words):
    before = oms.core.event_seq
    with pytest.raises(OmsError) as raised:
        call(oms)
    assert words in str(raised.value)
    assert oms.core.event_seq == before


BAD_IDS = [
    ("", "has 0 bytes: 1 to 36 printable ASCII characters are allowed"),
    ("x" * 37, "has 37 bytes: 1 to 36"),
    ("caf\u00e9", "has '\u00e9' at 3: 1 to 36"),
    ("a\tb", "has '\\t' at 1: 1 to 36"),
    ("a\x00b", "has '\\x00' at 1"),
    ("\U0001f600", "at 0: 1 to 36"),
    ("a\ud800", "at 1: 1 to 36"),
    (b"caf\xe9", "has '\u00e9' at 3"),
    (7, "is a int: give a str"),
]


@pytest.mark.parametrize(("cl_ord_id", "words"), BAD_IDS)
def test_bad_client_id_is_told_and_nothing_is_taken(oms, cl_ord_id, words):
    before = oms.core.event_seq
    with pytest.raises(ValueError, match="cl_ord_id") as raised:
        oms.gate("ESH4").submit(cl_ord_id, 1, 4820 * ONE, ONE)
    assert words in str(raised.value)
    assert oms.core.event_seq == before


ID_VERBS = {
    "submit": lambda oms, given: oms.submit("ESH4", "buy", 1, "4820", cl_ord_id=given),
    "cancel": lambda oms, given: oms.cancel(1, cl_ord_id=given),
    "replace": lambda oms, given: oms.replace(1, price="4820", qty=1, cl_ord_id=given),
    "mass_cancel": lambda oms, given: oms.mass_cancel(cl_ord_id=given),
    "record": lambda _, given: record("new_order", cl_ord_id=given),
}


@pytest.mark.parametrize("verb", list(ID_VERBS))
@pytest.mark.parametrize(("cl_ord_id", "words"), BAD_IDS)
def test_every_verb_refuses_a_bad_client_id_alike(oms, verb, cl_ord_id, words):
    before = oms.core.event_seq
    with pytest.raises(ValueError, match="cl_ord_id") as raised:
        ID_VERBS[verb](oms, cl_ord_id)
    assert isinstance(raised.value, OmsError)
    assert words in str(raised.value)
    assert oms.core.event_seq == before


NOT_WHOLE = [1.5, 1.0, True, np.True_, None, [1], Decimal(1), Decimal("1E+1000000")]


@pytest.mark.parametrize("order", NOT_WHOLE)
def test_order_number_that_is_not_whole_cancels_nothing(oms, order):
    oms.submit("ESH4", "buy", 1, "4820")
    before = oms.core.event_seq
    for call in (
        lambda: oms.cancel(order),
        lambda: oms.replace(order, price="4820", qty=2),
        lambda: oms.report(order, "new"),
        lambda: oms.order(order),
    ):
        with pytest.raises(EngineError, match=r"order_seq .* give a whole number"):
            call()
    assert oms.core.event_seq == before


def test_order_number_of_numpy_is_taken(oms):
    order = oms.submit("ESH4", "buy", 1, "4820")
    assert oms.report(np.uint64(order.order_seq), "new") == "applied"
    assert oms.cancel(np.int64(order.order_seq))


TOO_LARGE = [
    (lambda oms: oms.cancel(-1), "order_seq -1 is not within 0 to 18446744073709551615"),
    (lambda oms: oms.cancel(2**64), "order_seq 18446744073709551616 is not within 0 to"),
    (lambda oms: oms.cancel(1 << 20000), "order_seq of 20001 bits is not within 0 to"),
    (lambda oms: oms.submit(-1, "buy", 1), "instrument_id -1 is not within 0 to 4294967295"),
    (lambda oms: oms.submit(2**40, "buy", 1), "instrument_id 1099511627776 is not within"),
    (lambda oms: oms.submit("ESH4", 300, 1), "side 300 is not within 0 to 255"),
    (lambda oms: oms.submit("ESH4", [1], 1), "side [1] is a list: give a whole number"),
    (lambda oms: oms.submit("ESH4", "buy", 1, venue=65536), "venue_id 65536 is not within"),
    (lambda oms: oms.submit("ESH4", "buy", 1, account=True), "account_id True is a bool"),
    (lambda oms: oms.submit("ESH4", "buy", 1, account=[1]), "account_id [1] is a list"),
    (lambda oms: oms.submit("ESH4", "buy", 1, parent=-1), "parent -1 is not within 0 to"),
    (lambda oms: oms.mass_cancel(strategy=-1), "strategy_id -1 is not within 0 to 65535"),
    (lambda oms: oms.define("zzz", "x"), "entity 'zzz' is not one of account, instrument"),
    (lambda oms: oms.define("strategy", 7), "strategy name 7 is a int"),
    (lambda oms: oms.define("strategy", "a b"), "characters without spaces are allowed"),
    (lambda oms: oms.id_of("zzz", "x"), "entity 'zzz' is not one of"),
    (lambda oms: oms.take("zzz"), "kind 'zzz' is not one of new_order"),
    (lambda oms: oms.take("rate", zzz=1), "rate has no field 'zzz'"),
    (lambda oms: oms.take("rate", rate=2**63), "rate 9223372036854775808 is not within"),
    (lambda oms: oms.take("rate", rate=1.5), "rate 1.5 is a float: give a whole number"),
    (lambda oms: oms.report(1, "new", street_id="x" * 21), "street_id 'xxx"),
    (lambda oms: oms.report(1, "new", exec_id="x" * 17), "has 17 bytes: at most 16 are allowed"),
    (lambda oms: oms.report(1, "new", exec_id="a\0"), "exec_id 'a\\x00' is not ASCII"),
    (lambda oms: oms.events(-1), "from_seq -1 is not within"),
]


@pytest.mark.parametrize(("call", "words"), TOO_LARGE)
def test_number_that_its_field_cannot_hold_is_told_with_the_bound(oms, call, words):
    oms.submit("ESH4", "buy", 1, "4820", account=1)
    before = oms.core.event_seq
    with pytest.raises(EngineError) as raised:
        call(oms)
    assert words in str(raised.value)
    assert oms.core.event_seq == before


def test_longest_client_id_is_taken(oms):
    assert oms.submit("ESH4", "buy", 1, "4820", cl_ord_id="~" * 36)
    assert oms.orders()[0]["cl_ord_id"] == "~" * 36


NO_TERMS = [
    ({"strategy": False}, "strategy_id False is a bool"),
    ({"venue": 0.0}, "venue_id 0.0 is a float"),
    ({"time_in_force": True}, "time_in_force True is a bool"),
    ({"time_in_force": "soon"}, "time_in_force 'soon' is not one of day"),
    ({"ord_type": ["limit"]}, "ord_type ['limit'] is a list"),
]


@pytest.mark.parametrize(("terms", "words"), NO_TERMS)
def test_terms_are_judged_anew_after_the_same_key_was_bound(oms, terms, words):
    assert oms.submit("ESH4", "buy", 1, "4820", strategy=0, venue=0, time_in_force=1)
    before = oms.core.event_seq
    with pytest.raises(EngineError) as raised:
        oms.submit("ESH4", "buy", 1, "4820", **terms)
    assert words in str(raised.value)
    assert oms.core.event_seq == before


def test_defaults_of_the_engine_are_read_at_every_call(oms):
    oms.define_account("A2", order_qty_max=1)
    assert oms.submit("ESH4", "buy", 2, "4820")
    oms.account = "A2"
    assert oms.submit("ESH4", "buy", 2, "4820").name == "order_qty_limit"


def test_made_ids_count_on_over_all_verbs(oms):
    assert oms.submit("ESH4", "buy", 1, "4820")
    assert oms.next_id() == "1.2"
    for count in range(3, 12):
        assert oms.submit("ESH4", "buy", 1, "4820"), count
    assert [order["cl_ord_id"] for order in oms.orders()][-2:] == ["1.10", "1.11"]


def test_verdict_is_a_value(oms):
    refused = oms.submit("ESH4", "buy", 1, "5000")
    assert pickle.loads(pickle.dumps(refused)) == refused  # noqa: S301  our own bytes
    assert refused != Verdict(0)
    assert len({refused, copy.copy(refused), Verdict(0)}) == 2
    assert repr(refused).startswith("<Verdict price_above_band order 0")
    with pytest.raises(AttributeError):
        refused.code = 0


def test_gate_without_an_engine_raises_an_error_of_ours(tmp_path):
    engine = made()
    desk = open_desk(EXAMPLE, tmp_path)
    assert not desk.submit("ESH4", "buy", 1, "4820", account="MAKER", session="S1")
    desk.close()
    with pytest.raises(GateError, match="takes no commands"):
        desk.submit("ESH4", "buy", 1, "4820", account="MAKER", session="S1")
    with pytest.raises(OmsError, match="a record has 128 bytes, this one 3"):
        engine.gate("ESH4").command(b"abc")


def test_unknown_names_and_codes_say_what_there_is(oms):
    with pytest.raises(UnknownNameError, match="instrument 'ESZ9' is not defined; there are ESH4"):
        oms.submit("ESZ9", "buy", 1, "4820")
    with pytest.raises(EngineError, match="side 'bye' is not one of buy, sell"):
        oms.submit("ESH4", "bye", 1, "4820")
    with pytest.raises(EngineError, match="orders_maximum is no capacity"):
        Engine(orders_maximum=4)
    with pytest.raises(EngineError, match="orders_max is 1, allowed are 64 to"):
        Engine(orders_max=1)
    assert issubclass(UnknownNameError, OmsError)


def test_unknown_instrument_number_is_a_verdict(oms):
    answer = oms.submit(3, "buy", 1, "4820")
    assert answer.name == "instrument_unknown"
    assert str(answer) == "instrument 3 is not defined"


def test_repeated_id_answers_with_the_first_order(oms):
    first = oms.submit("ESH4", "buy", 1, "4820", cl_ord_id="a")
    again = oms.submit("ESH4", "buy", 1, "4820", cl_ord_id="a")
    other = oms.submit("ESH4", "buy", 2, "4820", cl_ord_id="a")
    assert again
    assert (again.order_seq, other.name) == (first.order_seq, "duplicate_id")
    assert len(oms.orders()) == 1


def test_fill_moves_the_position_and_its_value(oms):
    bought = oms.submit("ESH4", "buy", 5, "4820.25")
    assert oms.report(bought.order_seq, "new") == "applied"
    assert oms.report(bought.order_seq, "trade", last_qty=5, last_px="4820.25") == "applied"
    (position,) = oms.positions()
    assert (position["net_qty"], position["average_px"]) == (5 * ONE, "4820.25")
    assert float(position["unrealised"]) == pytest.approx(-0.125 * 5 * 50)
    assert oms.order(bought.order_seq)["ord_status"] == "filled"


def test_cancel_and_replace_run_through_the_venue(oms):
    order = oms.submit("ESH4", "sell", 2, "4821", cl_ord_id="s")
    oms.report(order.order_seq, "new")
    assert oms.replace("s", price="4821.5", qty=3)
    assert oms.report(order.order_seq, "replaced") == "applied"
    assert oms.order(order.order_seq)["price"] == 4821_500_000_000
    assert oms.cancel(order.order_seq)
    assert oms.report(order.order_seq, "canceled") == "applied"
    assert oms.cancel(order.order_seq).name == "order_closed"
    kinds = [layout.KIND_NAMES[k] for batch in oms.events() for k in batch.kinds.tolist()]
    assert kinds.count("routed") == 3
    assert len(oms.outbox()) == 3


def test_mass_cancel_names_its_scope(oms):
    for price in ("4819", "4819.25"):
        oms.report(oms.submit("ESH4", "buy", 1, price).order_seq, "new")
    assert oms.mass_cancel(instrument="ESH4")
    statuses = {order["ord_status"] for order in oms.orders()}
    assert statuses == {"pending_cancel"}


def test_virtual_clock_never_runs_back(oms):
    oms.now_ns = START_NS + 5
    with pytest.raises(EngineError, match="is before the last event's"):
        oms.now_ns = START_NS


COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.integers(-1, 120),
        st.integers(4700 * 4, 4950 * 4).map(lambda t: t * ONE // 4),
        st.integers(0, 30),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(COMMANDS)
def test_batch_equals_singles(commands):
    one, many = made(), made()
    rows = many.blank_orders(len(commands), "ESH4")
    for row, (side, qty, price, number) in zip(rows, commands, strict=True):
        row["side"], row["order_qty"] = CODES["side"][side].code, qty * ONE
        row["price"], row["cl_ord_id"] = price, f"id-{number}".encode()
    order_seqs = np.zeros(len(commands), dtype=np.uint64)
    codes = many.submit_many(rows, order_seqs)
    singles = [
        one.submit("ESH4", side, qty, Fixed(price), cl_ord_id=f"id-{number}")
        for side, qty, price, number in commands
    ]
    assert codes.tolist() == [verdict.code for verdict in singles]
    assert order_seqs.tolist() == [verdict.order_seq for verdict in singles]
    assert one.state_hash() == many.state_hash()


def test_batch_refuses_wrong_shapes_and_kinds(oms):
    rows = oms.blank_orders(3, "ESH4")
    gate = oms.gate("ESH4")
    with pytest.raises(ValueError, match="verdicts holds 2 rows, orders 3"):
        gate.submit_many(rows.view("u1"), np.zeros(2, dtype=np.uint16))
    with pytest.raises(EngineError, match="orders have dtype"):
        oms.submit_many(np.zeros(3, dtype=layout.dtype("record")))
    rows["kind"] = KINDS["execution_report"]
    before = oms.core.event_seq
    assert set(oms.submit_many(rows).tolist()) == {CODES["verdict"]["command_malformed"].code}
    assert oms.core.event_seq == before
    assert len(oms.submit_many(rows[:0])) == 0


@pytest.mark.parametrize("name", list(CODES["verdict"]))
def test_every_sentence_can_be_filled(name):
    text = dispatch.sentence(CODES["verdict"][name].code, 1, 2)
    assert "{" not in text
    assert text


def test_codes_become_names_in_sentences():
    assert "mode halt" in dispatch.sentence(CODES["verdict"]["killed"].code, 0, 3)
    closed = dispatch.sentence(CODES["verdict"]["order_closed"].code, 11, 0)
    assert closed == f"the order is closed: {NAMES['ord_status'][11]}"


NUMBERS = st.one_of(
    st.integers(-1, 6),
    st.sampled_from(["4820", "4820.25", "4819.75", "4820.1", "x", "", "1e3", "9223372037", None]),
    st.sampled_from([4820.25, float("nan"), float("inf"), 1e300, np.float64(4820.25), np.int64(2)]),
    st.sampled_from([True, Decimal("NaN"), Decimal("1E+1000000"), Fixed(2**63), 1 << 9000, [1]]),
)
PRICES = st.one_of(st.sampled_from(["4820", "4820.25", "4819.75"]), NUMBERS)
QTYS = st.one_of(st.integers(1, 5), NUMBERS)
SEQS = st.one_of(st.integers(1, 12), NUMBERS)
IDS = st.one_of(st.none(), st.sampled_from(["a", "b", "x" * 37, "", "\ud800", b"c", 7]), st.text())
SIDES = st.sampled_from(["buy", "sell", "buy", "sell", "bye", 1, 77, 300, -1, True, None, [1]])
NAMED = st.sampled_from(["ESH4"] * 8 + ["zzz", "", "\ud800", 1, 3, -1, 2**40, 1.5, None])
EXEC_TYPES = st.sampled_from(
    ["new", "trade", "trade", "trade", "canceled", "replaced", "rejected", "zzz", 300, None]
)
CALLS = st.one_of(
    st.tuples(
        st.just("submit"),
        st.tuples(NAMED, SIDES, QTYS, PRICES),
        st.fixed_dictionaries({"cl_ord_id": IDS}),
    ),
    st.tuples(st.just("cancel"), st.tuples(SEQS | IDS), st.fixed_dictionaries({"cl_ord_id": IDS})),
    st.tuples(
        st.just("replace"),
        st.tuples(SEQS | IDS),
        st.fixed_dictionaries({"price": PRICES, "qty": QTYS, "cl_ord_id": IDS}),
    ),
    st.tuples(
        st.just("mass_cancel"),
        st.just(()),
        st.fixed_dictionaries(
            {}, optional={"instrument": NAMED, "side": SIDES, "cl_ord_id": IDS, "account": NAMED}
        ),
    ),
    st.tuples(
        st.just("report"),
        st.tuples(SEQS, EXEC_TYPES),
        st.fixed_dictionaries(
            {"last_qty": QTYS, "last_px": PRICES}, optional={"exec_id": IDS, "fee": NUMBERS}
        ),
    ),
    st.tuples(st.just("quote"), st.tuples(NAMED, PRICES, QTYS, PRICES, QTYS), st.just({})),
)
GOOD_PRICES, GOOD_QTYS = st.sampled_from(["4820", "4820.25"]), st.integers(1, 5)
GOOD_CALLS: st.SearchStrategy[Any] = st.one_of(
    st.tuples(
        st.just("submit"),
        st.tuples(st.just("ESH4"), st.sampled_from(["buy", "sell"]), GOOD_QTYS, GOOD_PRICES),
        st.just({}),
    ),
    st.tuples(
        st.just("report"),
        st.tuples(st.integers(1, 4), st.sampled_from(["new", "trade", "trade", "trade"])),
        st.fixed_dictionaries({"last_qty": GOOD_QTYS, "last_px": GOOD_PRICES}),
    ),
)
BOOKED = [CODES["disposition"][name].code for name in ("applied", "late", "overfill")]
BUY, TRADE = CODES["side"]["buy"].code, CODES["exec_type"]["trade"].code
A_FILL = [
    ("submit", ("ESH4", "sell", 5, "4820"), {}),
    ("report", (1, "trade"), {"last_qty": 2, "last_px": "4820"}),
    ("report", (1, "trade"), {"last_qty": 9, "last_px": "4820.25"}),
]


def called(oms, calls):
    """Make the calls; what came out of each, an exception's text among it."""
    told = []
    for verb, args, named in calls:
        try:
            answer = getattr(oms, verb)(*args, **named)
        except (OmsError, ValueError) as error:
            told.append((verb, str(error)))
        else:
            if verb in ("submit", "cancel", "replace", "mass_cancel"):
                assert isinstance(answer, Verdict)
                assert answer.sentence
            told.append((verb, str(answer)))
    return told


def folded(oms):
    """Fold the booked fills of the log into net quantities by instrument, in plain Python."""
    net: dict[int, int] = {}
    sides: dict[int, tuple[int, int]] = {}
    for batch in oms.events():
        for kind, rows in batch.runs():
            for row in rows:
                if kind == "order_accepted":
                    sides[int(row["order_seq"])] = (int(row["instrument_id"]), int(row["side"]))
                elif (
                    kind == "execution_report"
                    and row["exec_type"] == TRADE
                    and row["disposition"] in BOOKED
                ):
                    instrument, side = sides[int(row["order_seq"])]
                    signed = int(row["last_qty"]) * (1 if side == BUY else -1)
                    net[instrument] = net.get(instrument, 0) + signed
    return {instrument: qty for instrument, qty in net.items() if qty}


@settings(max_examples=200, deadline=None)
@given(st.lists(GOOD_CALLS, max_size=12), st.lists(GOOD_CALLS | CALLS, max_size=30))
@example(A_FILL, [])
def test_any_calls_give_verdicts_or_named_errors_and_positions_are_the_fills(first, then):
    calls = first + then
    oms, again = made(), made()
    told = called(oms, calls)
    positions = {row["instrument_id"]: row["net_qty"] for row in oms.positions()}
    assert {instrument: qty for instrument, qty in positions.items() if qty} == folded(oms)
    assert called(again, calls) == told
    assert again.state_hash() == oms.state_hash()


@pytest.mark.parametrize("exec_type", [[], {}, None, "no such", -1, 1e9])
def test_a_report_of_no_known_kind_is_told_by_name(exec_type):
    oms = made()
    seq = oms.submit("ESH4", "buy", 2, "4819").order_seq
    with pytest.raises(EngineError, match="exec_type"):
        oms.report(seq, exec_type)


def test_an_average_of_the_venue_that_is_not_ours_is_booked_and_asked_about():
    oms = made()
    seq = oms.submit("ESH4", "buy", 3, "4819").order_seq
    for avg_px, asked in (("4819", 0), ("4819.0", 0), ("4818.99", 1)):
        told = oms.report(seq, "trade", last_qty=1, last_px="4819", avg_px=avg_px)
        oms.take("time_input")
        sent = oms.outbox()["msg_type"] == CODES["msg_type"]["order_status"].code
        assert (told, sent.sum()) == ("applied", asked)


def test_an_event_tells_what_came_before_a_report_by_name():
    ids = {"exec_id": "B1", "exec_ref_id": "X1", "trd_match_id": "M1", "venue_id": 1}
    told = tell_event(record("exec_ref", restatement_reason=6, avg_px=3 * ONE // 2, **ids))
    assert told["avg_px"] == "1.5"
    assert (told["exec_ref_id"], told["trd_match_id"]) == ("X1", "M1")
    assert told["restatement_reason"] == "qty_decline"
    own = tell_event(record("exec_ref", restatement_reason=106, **ids))
    assert own["restatement_reason"] == 106
    order = tell_event(record("foreign_order", street_id="SCREEN-1", side=2, order_qty=3 * ONE))
    assert (order["street_id"], order["side"], order["order_qty"]) == ("SCREEN-1", "sell", "3")
