"""Strategies: verdicts are events, in log order, to their owner alone; a replay sends nothing."""

import pytest

from pyoms.errors import EngineError
from pyoms.strategy import CALLBACKS, Dispatcher, Strategy
from pyoms_core.layout import NO_PRICE, ONE
from tests.unit.test_engine import START_NS, made


class Notes(Strategy):
    """Write down every callback."""

    def __init__(self, name):
        super().__init__(name, account="A1", session="S1")
        self.notes = []

    def note(self, *what):
        self.notes.append(what)

    def on_quote(self, _instrument_id, bid_px, _bid_qty, ask_px, _ask_qty, _now_ns):
        self.note("on_quote", bid_px, ask_px)

    def on_timer(self, now_ns):
        self.note("on_timer", now_ns)

    def on_phase(self, _venue_id, _instrument_id, phase):
        self.note("on_phase", phase)


def noter(callback):
    def take(self, e):
        self.note(callback, e.kind_name, e.order_seq)

    return take


for _callback in CALLBACKS:
    if _callback != "on_phase":
        setattr(Notes, _callback, noter(_callback))


@pytest.fixture
def pair():
    oms = made()
    for name in ("first", "second"):
        oms.define_strategy(name)
    strategies = [Notes("first"), Notes("second")]
    dispatcher = Dispatcher(oms, strategies)
    dispatcher.run_once()
    for strategy in strategies:
        strategy.notes.clear()
    return oms, dispatcher, strategies


def called(strategy):
    return [what[0] for what in strategy.notes if what[0] != "on_event"]


def test_each_answer_reaches_its_owner_in_log_order(pair):
    oms, dispatcher, (first, second) = pair
    first.oms.submit("ESH4", "buy", 2, "4820")
    second.oms.submit("ESH4", "buy", 1, "4820.10")
    dispatcher.run_once()
    assert called(first) == ["on_accepted"]
    assert called(second) == ["on_refused"]
    seq = oms.orders()[0]["order_seq"]
    oms.report(seq, "new")
    oms.report(seq, "trade", last_qty=1, last_px="4820")
    first.oms.replace(seq, "4819.75", 2)
    oms.report(seq, "replaced")
    first.oms.cancel(seq)
    oms.report(seq, "canceled")
    dispatcher.run_once()
    assert called(first)[1:] == [
        *("on_ack", "on_fill", "on_accepted", "on_replaced", "on_accepted", "on_canceled"),
    ]
    assert called(second) == ["on_refused"]


def test_refusal_comes_whole_with_its_sentence(pair):
    _, dispatcher, (first, _) = pair
    told = []

    class Listener(Strategy):
        def on_refused(self, e):
            told.append(e)

    again = Dispatcher(dispatcher.oms, [Listener("first", account="A1", session="S1")])
    again.tape.seek(dispatcher.tape.next_seq)
    first.oms.submit("ESH4", "buy", 1, "4820.10")
    again.run_once()
    (event,) = told
    assert event.verdict_name == "price_off_tick"
    assert event.sentence == "price 4820.1 is not a multiple of the tick 0.25"
    assert (event.value, event.bound) == (4820_100_000_000, ONE // 4)
    assert (event.name("side"), event.order_qty) == ("buy", ONE)
    with pytest.raises(AttributeError, match="order_refused has no field last_px"):
        _ = event.last_px


def test_duplicate_report_calls_nobody(pair):
    oms, dispatcher, (first, _) = pair
    first.oms.submit("ESH4", "buy", 2, "4820")
    seq = oms.orders()[0]["order_seq"]
    oms.report(seq, "new", exec_id="n")
    assert oms.report(seq, "trade", last_qty=1, last_px="4820", exec_id="x") == "applied"
    sent = oms.order(seq)
    assert sent["cum_qty"] == ONE
    dispatcher.run_once()
    assert called(first).count("on_fill") == 1


def test_quotes_come_once_a_change_and_timers_when_due(pair):
    oms, dispatcher, (first, _) = pair
    dispatcher.run_once()
    assert called(first) == []
    oms.quote("ESH4", "4819.75", 1, None, 0)
    oms.quote("ESH4", "4819.50", 1, None, 0)
    dispatcher.run_once()
    assert first.notes == [("on_quote", 4819_500_000_000, NO_PRICE)]
    first.oms.wake_at(START_NS + 10)
    first.oms.wake_at(START_NS + 20)
    assert dispatcher.wake_ns == START_NS + 10
    dispatcher.run_once(START_NS + 9)
    assert called(first) == ["on_quote"]
    dispatcher.run_once(START_NS + 15)
    assert first.notes[-1] == ("on_timer", START_NS + 15)
    assert dispatcher.wake_ns is None


def test_replay_rebuilds_and_sends_nothing(pair):
    oms, dispatcher, (first, second) = pair
    first.oms.submit("ESH4", "buy", 2, "4820")
    oms.report(oms.orders()[0]["order_seq"], "new")
    second.oms.submit("ESH4", "sell", 1, "4821")
    dispatcher.run_once()
    fresh = [Notes("first"), Notes("second")]
    again = Dispatcher(oms, fresh)
    last = oms.core.event_seq
    assert again.replay(last) == last
    for old, new in zip((first, second), fresh, strict=True):
        assert [n for n in new.notes if n[0] != "on_phase"] == [
            n for n in old.notes if n[0] not in ("on_phase", "on_quote")
        ]
        assert ("on_phase", "open") in new.notes
    assert oms.core.event_seq == last
    assert again.run_once() == 0


def test_port_refuses_while_replaying(pair):
    oms, _, (first, _) = pair
    first.replaying = True
    before = oms.core.event_seq
    with pytest.raises(EngineError, match="'first' is being replayed"):
        first.oms.submit("ESH4", "buy", 1, "4820")
    assert oms.core.event_seq == before


def test_two_strategies_cannot_share_a_name(pair):
    oms, _, _ = pair
    with pytest.raises(ValueError, match="two strategies on session 1"):
        Dispatcher(oms, [Notes("first"), Notes("first")])


def test_answer_to_a_callback_comes_in_the_same_round(pair):
    oms, _, _ = pair

    class Chain(Notes):
        def on_accepted(self, e):
            super().on_accepted(e)
            if called(self).count("on_accepted") < 3:
                self.oms.submit("ESH4", "buy", 1, "4819")

    oms.define_strategy("chain")
    chain = Chain("chain")
    dispatcher = Dispatcher(oms, [chain])
    dispatcher.replay()
    chain.notes.clear()
    chain.oms.submit("ESH4", "buy", 1, "4819")
    dispatcher.run_once()
    assert called(chain).count("on_accepted") >= 3
