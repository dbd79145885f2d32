"""Engine and oracle side by side: every input goes to both, and both must come to the same.

Called by the lives that hypothesis makes up and by the corners. After each input the answer, the
kinds of the events and every field that the model says of them are compared; `agree` compares every
order, position and reserve. What must stay true: nothing here knows a rule.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.model.desk import Desk, Event
from tests.model.seam import REFS, Driven, assert_agree, flagged, fold_log, referred

UNSAID = ("kind", "time_ns", "body", "epoch")
"""Fields of the model's events that a record has otherwise or not at all."""
REFUSED = ("refusal", "order_refused", "change_refused", "command_repeated", "exec_ref")
UNLOGGED = ("quote", "trade", "time_input", "trail_moved")
VERBS = {"new_order": "submit", "cancel_order": "cancel", "replace_order": "replace"}


class Pair:
    """One engine and one model that are told the same."""

    def __init__(self, engine: Driven, seen: Callable[[Event], None] | None = None) -> None:
        self.engine, self.model, self.seen = engine, Desk(), seen
        for event in engine.new_events(0):
            self.model.apply(event)
        self.model.applied.clear()

    def agree(self) -> None:
        """Compare every order, position, reserve and account."""
        assert_agree(self.engine.core, self.model, micro=len(self.model.instruments))

    def agreed(self, taken: tuple[str, list[Event]], expected: tuple[str, list[str]]) -> str:
        """Compare an input's answer and its events; the answer."""
        assert taken[0] == expected[0], (taken, expected)
        assert_told(taken[1], expected[1], self.model)
        if self.seen is not None:
            for event in taken[1]:
                self.seen(event)
        return taken[0]

    def command(self, kind: str, command: Event) -> str:
        """Take a command; the verdict."""
        taken = self.engine.command(kind, command)
        return self.agreed(taken, getattr(self.model, VERBS.get(kind, kind))(command))

    def offer(self, terms: Event) -> str:
        """Take the terms that a session offers for its next command."""
        return self.agreed(self.engine.offer(terms), self.model.offer(terms))

    def offer_foreign(self, order: Event) -> str:
        """Take what a venue says of an order that is not ours."""
        taken = self.engine.fact("foreign_order", order)
        return self.agreed(taken, self.model.offer_foreign(order))

    def fact(self, kind: str, good: bool = True, /, **event: object) -> None:
        """Take a fact of the host or a quote; a bad one is refused and leaves nothing."""
        taken = self.engine.fact(kind, event)
        if good:
            self.agreed(taken, ("accepted", self.model.take({"kind": kind} | event)))
        else:
            self.agreed(taken, ("definition_invalid", self.model.finish()))

    def position_mode(self, account_id: int, hedging: bool) -> str:
        """Define an account anew as netting or hedging; the verdict. The same again is no event."""
        fault = self.model.mode_fault(account_id, hedging)
        event: Event = {"kind": "definition", "entity": "account", "id": account_id}
        new = hedging != (account_id in self.model.hedging) and not fault
        taken = self.engine.position_mode(account_id, hedging)
        kinds = self.model.take(event | {"hedging": hedging}) if new else self.model.finish()
        return self.agreed(taken, (fault or "accepted", kinds))

    def trade(self, instrument_id: int, price: int) -> None:
        """Take a trade of the market."""
        event = {"kind": "trade", "instrument_id": instrument_id, "price": price}
        taken = self.engine.trade(instrument_id, price)
        self.agreed(taken, ("accepted", self.model.take(event)))

    def time(self, now_ns: int) -> None:
        """Set the clock of both, and tell them the time."""
        self.model.now_ns = now_ns
        self.engine.core.set_now_ns(now_ns)
        self.fact("time_input")

    def report(self, report: Event) -> str:
        """Take a venue's word; the disposition."""
        taken = self.engine.report(report)
        more = {"has_refs": any(name in report for name in REFS)} | flagged(report.get("flags", 0))
        return self.agreed(taken, self.model.report(report | more | referred(report)))

    def fold(self) -> Desk:
        """Fold the log by the model alone; every report is judged again."""
        folded = Desk()
        assert fold_log(iter(self.engine.log()), folded) == []
        folded.applied.clear()
        return folded

    def crash(self, at_seq: int) -> None:
        """Die at an event, recover, and start: a new epoch, what was not answered is in doubt."""
        self.recover(at_seq)
        self.fact("epoch_started", epoch=self.model.epoch + 1)
        for seq in [seq for seq in self.model.orders if self.model.may_lose(seq)]:
            self.fact("outcome_unknown", order_seq=seq)

    def recover(self, at_seq: int) -> None:
        """Go on from the log alone; a group that is torn at that event is cut."""
        live, ids, now_ns = self.engine.core, self.model.ids, self.model.now_ns
        self.engine = Driven(live.recovered(at_seq))
        if at_seq == live.event_seq:
            assert self.engine.core.state_hash() == live.state_hash(), "I18"
        self.model = self.fold()
        self.model.now_ns = now_ns
        for key, entry in self.model.ids.items():
            if key in ids and not entry.body:
                entry.body = ids[key].body  # the log has a hash of it
        self.agree()

    def end(self) -> None:
        """End a story: its log comes to the same by either fold, and nothing was sent twice."""
        core, folded = self.engine.core, self.fold()
        replayed = core.recovered(core.event_seq)
        assert replayed.state_hash() == core.state_hash(), "I18"
        folded.now_ns = self.model.now_ns
        assert_agree(replayed, folded, micro=len(folded.instruments))
        assert_agree(core, folded, micro=len(folded.instruments))
        sent = [event for event in self.engine.new_events(0) if event["kind"] == "routed"]
        ids = [event["street_id"] for event in sent if event["msg_type"] != "order_status"]
        assert len(set(ids)) == len(ids), "a message went out twice"


def assert_told(events: list[Event], kinds: list[str], desk: Desk) -> None:
    """Compare what the engine logged with what the model expected and applied, field by field.

    A trailing stop that moved is told at a bounded rate: the model says when, and folds it here.
    """
    for event in [e for e in events if e["kind"] == "trail_moved"]:
        stop_px, best_px, _ = desk.moves.pop(event["order_seq"])
        assert (event["stop_px"], event["mark_px"]) == (stop_px, best_px)
        if desk.orders[event["order_seq"]].held:
            desk.apply(event)
    assert not [seq for seq, (_, _, must) in desk.moves.items() if must], "moved, and not told"
    events = [e for e in events if e["kind"] != "trail_moved"]
    assert [e["kind"] for e in events] == kinds

    def folded(e: Event) -> bool:
        refusal = e["kind"] == "mass_cancel" and e["verdict"] != "accepted"
        return e["kind"] not in REFUSED + UNLOGGED and not refusal

    pairs = zip(filter(folded, events), filter(folded, desk.applied), strict=True)
    for event, expected in pairs:
        for name in event.keys() & expected.keys() - set(UNSAID):
            assert event[name] == expected[name], (event["kind"], name, event, expected)
    desk.applied.clear()
