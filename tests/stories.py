"""Corners told as stories: one engine and one model are told the rows of `tests/data/corners.txt`.

Called by `tests/test_corners.py`, which tells each story as it stands, with words doubled, in other
orders, with a crash or a kill behind any row. What must stay true: a story is data, so that every
way of telling it is made from the same rows; nothing here knows a rule of the desk.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyoms.engine import Engine
from pyoms_core.layout import ONE
from tests.model.desk import UNLIMITED
from tests.model.pair import Pair
from tests.model.seam import Driven, limit_order
from tests.model.waiting import NO_TERMS

START_NS = 1_700_000_000_000_000_000
SMALL = {
    "orders_max": 64,
    "ids_max": 256,
    "fills_max": 256,
    "accounts_max": 2,
    "instruments_max": 4,
    "books_max": 0,
    "terms_max": 16,
    "throttle_orders_max": 16,
    "log_reserve": 64,
}
"""Small tables: a story is told a hundred times, each in a new engine."""
ANSWERS = {
    "cancel_rejected": "cancel",
    "canceled": "cancel",
    "replaced": "replace",
    "replace_rejected": "replace",
}
"""What a word of the venue answers: it names that message unless the row says rev."""


class Both(Pair):
    """One engine and one model that are told the same, by the words of a corner.

    A wide one has two instruments more, the last of them at a venue of its own.
    """

    def __init__(self, wide: bool = False) -> None:
        oms = Engine(now_ns=START_NS, ring_slots=1 << 10, **SMALL)
        oms.define_account("A1")
        oms.define_instrument("ES", tick="0.25", contract_multiplier=50, flags=8)
        if wide:
            oms.define_venue("ALT")
            oms.define_instrument("NQ", tick="0.25", contract_multiplier=20, flags=8)
            oms.define_instrument("BUND", tick="0.25", venue="ALT", flags=8)
        super().__init__(Driven(oms.core))
        self.count = itertools.count(1)

    def submit(self, qty: int, side: str = "buy", **more: Any) -> int:
        verdict = self.send(qty, side, **more)
        return max(self.model.orders) if verdict == "accepted" else 0

    def send(self, qty: int, side: str = "buy", **more: Any) -> str:
        command = limit_order(f"o{next(self.count)}", side, qty * ONE, 100 * ONE) | more
        verdict = self.command("new_order", command)
        self.agree()
        return verdict

    def change(self, kind: str, seq: int, **terms: Any) -> str:
        own = {"cl_ord_id": f"c{next(self.count)}", "session_id": 1}
        verdict = self.command(kind, own | {"order_seq": seq, "orig_cl_ord_id": ""} | terms)
        self.agree()
        return verdict

    def cancel(self, seq: int) -> str:
        return self.change("cancel_order", seq)

    def replace(self, seq: int, qty: int, px: int = 100) -> str:
        terms = {"price": px * ONE, "order_qty": qty * ONE, "has_terms": False}
        return self.change("replace_order", seq, **terms)

    def tell(self, seq: int, exec_type: str, qty: int = 0, px: int = 100, **more: Any) -> str:
        report = {
            "street_epoch": self.model.orders[seq].epoch if seq in self.model.orders else 1,
            "street_seq": seq,
            "street_revision": 0,
            "exec_id": f"E{next(self.count)}",
            "venue_id": 1,
            "trade_day": 0,
            "exec_type": exec_type,
            "ord_status": "",
            "last_px": px * ONE,
            "last_qty": qty * ONE,
            "cum_qty": 0,
            "leaves_qty": 0,
            "fee": 0,
            "transact_time_ns": START_NS,
        } | more
        disposition = self.report(report)
        self.agree()
        return disposition

    def lose(self, seq: int) -> None:
        self.fact("outcome_unknown", order_seq=seq, venue_id=1)
        self.agree()

    def status(self, seq: int) -> str:
        return self.model.orders[seq].status


# The table ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One input of a story: what comes, what it is taken for, and what its order comes to."""

    text: str
    verb: str
    plain: list[str]
    named: dict[str, str]
    taken: str
    status: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What comes out otherwise where rows come before others."""

    swaps: list[tuple[list[int], list[int]]]
    ends: dict[str, str]
    sent: int  # so many messages more

    def comes(self, order: Iterable[int]) -> bool:
        """Whether an order of the rows has it: all of the ones before any of the others."""
        place = {at: number for number, at in enumerate(order)}
        return all(
            max(place[at] for at in first) < min(place[at] for at in then)
            for first, then in self.swaps
        )


@dataclass(frozen=True, slots=True)
class Tale:
    """A story: its inputs, how it closes, and which turns of their order make it end otherwise."""

    rows: list[Row]
    closes: list[tuple[str, str]]
    turns: list[Turn]


def read(path: Path) -> dict[str, Tale]:
    """Read the table: every story under its title."""
    tales: dict[str, Tale] = {}
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        title, *lines = [line for line in block.splitlines() if not line.startswith("#")] or [""]
        if title:
            tales[title] = tale_of(lines)
    return tales


def tale_of(lines: list[str]) -> Tale:
    """Read one story."""
    tale = Tale([], [], [])
    for line in lines:
        told, *expected = (part.strip() for part in line.split("|"))
        verb, *words = told.split()
        if verb in ("net", "sent"):
            tale.closes.append((verb, " ".join(words)))
        elif verb == "if":
            tale.turns.append(turn_of(told.removeprefix("if "), expected))
        else:
            named = dict(word.split("=", 1) for word in words if "=" in word)
            plain = [word for word in words if "=" not in word]
            taken, status = (*expected, "", "")[:2]
            tale.rows.append(Row(told, verb, plain, named, taken, status))
    return tale


def turn_of(when: str, ends: list[str]) -> Turn:
    """Read what follows an `if`: 4 5 before 2, 7 before 6."""
    swaps = [
        [[int(at) - 1 for at in rows.split()] for rows in swap.split("before")]
        for swap in when.split(",")
    ]
    told = dict(end.split(" ", 1) for end in ends)
    more = int(told.pop("sent", 0))
    return Turn([(first, then) for first, then in swaps], told, more)


# Telling ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Told:
    """What a row was when its story was told as it stands."""

    answer: str
    word: tuple[int, str, int, int] | None = (
        None  # of a venue: order, ExecType(150), LastQty, LastPx
    )
    report: dict[str, Any] = field(default_factory=dict)
    after: int = 0  # how many inputs of ours it takes until it can be said
    named: bool = True  # whether the message that it is about had left
    sent: int = 0  # messages that a row of ours sent


class Story:
    """One story, told once."""

    def __init__(self, tale: Tale) -> None:
        self.both = Both(wide=any("on" in row.named for row in tale.rows))
        self.seqs: dict[str, int] = {}

    def take(self, row: Row) -> Told:
        """Take an input of ours or of the world, or make a word of the venue and take it."""
        before, seq = max(self.both.model.orders, default=0), self.both.engine.core.event_seq
        answer = getattr(self, row.verb)(row.plain, row.named)
        if row.verb in ("send", "parent") and max(self.both.model.orders, default=0) > before:
            self.seqs[row.plain[0]] = before + 1
        self.both.agree()
        told = answer if isinstance(answer, Told) else Told(answer)
        told.sent = self.messages(after=seq)
        return told

    def say(self, told: Told, **more: Any) -> str:
        """Tell a word as it was told before; its disposition."""
        assert told.word
        return self.both.tell(*told.word, **told.report | more)

    def has_sent(self, told: Told) -> bool:
        """Whether the message that a word is about has left."""
        assert told.word
        order = self.both.model.orders.get(told.word[0])
        if order is None or order.held or order.never_left:
            return False
        return bool(told.report["street_revision"] <= order.revision_last)

    def check(self, row: Row, answer: str) -> None:
        """Hold what a row has come to against what the table says."""
        assert answer == row.taken, row.text
        if row.status not in ("", "-"):
            found = [word for word in row.plain if word in self.seqs]
            name = found[0] if found else next(iter(self.seqs))
            assert self.end_of(name) == row.status, row.text

    def end_of(self, name: str) -> str:
        order = self.both.model.orders[self.seqs[name]]
        return f"{order.status} {order.cum_qty // ONE}"

    def sent(self, after: int = 0) -> list[str]:
        """Give the kinds of the messages that went out behind an event."""
        events = self.both.engine.new_events(after)
        return [event["msg_type"] for event in events if event["kind"] == "routed"]

    def ends(self) -> dict[str, str]:
        """Give what any order of the words must come to: orders and position."""
        return {name: self.end_of(name) for name in self.seqs} | {"net": self.net()}

    def net(self) -> str:
        """Give the position of each instrument."""
        desk = self.both.model
        return " ".join(str(desk.position(1, number).net_qty // ONE) for number in desk.instruments)

    def messages(self, after: int = 0) -> int:
        """Count what went out to the venue; a question is no order."""
        return len([msg_type for msg_type in self.sent(after) if msg_type != "order_status"])

    def sums(self) -> tuple[object, ...]:
        """Give what is reserved and what was paid."""
        desk = self.both.model
        cash = desk.position(1, 1).cash_points
        return desk.open_side(1, 1, True), desk.open_side(1, 1, False), cash

    def image(self) -> tuple[Any, ...]:
        core = self.both.engine.core
        return core.orders(live=False), core.positions(), core.account_sums(1)

    def close(self, tale: Tale) -> None:
        """Compare position and messages with the table, and the log with both folds."""
        for what, number in tale.closes:
            if what == "net":
                assert self.net() == number
            else:
                assert len(self.sent()) == int(number)
        self.end()

    def end(self) -> None:
        """Hold what is true of any end: the log says all of it, and nothing stays reserved."""
        self.both.end()
        if not any(order.live for order in self.both.model.orders.values()):
            assert self.sums()[:2] == ((0, 0), (0, 0)), "nothing stays reserved"

    # The verbs of the table ----------------------------------------------------------------------

    def send(self, plain: list[str], named: dict[str, str]) -> str:
        _, side, qty, *more = plain
        terms: dict[str, Any] = {"time_in_force": more[0] if more else "day"}
        if "id" in named:
            terms["cl_ord_id"] = named["id"]
        if "parent" in named:
            terms["parent_order_seq"] = self.seq(named["parent"])
        if "on" in named:
            terms["instrument_id"] = int(named["on"])
        offer: dict[str, Any] = {}
        if "inst" in named:
            offer["exec_inst"] = (named["inst"],)
        if "group" in named:
            offer["contingency"] = named["group"]
            offer["group_seq"] = self.seq(named["of"]) if "of" in named else 0
        if "stop" in named:
            offer["stop_px"] = int(named["stop"]) * ONE
            terms |= {"ord_type": "stop", "price": 0}
        if offer:
            self.both.offer(NO_TERMS | offer)
            terms["has_terms"] = True
        return self.both.send(int(qty), side, **terms)

    def seq(self, name: str) -> int:
        """Give the order of a name, or one that there is not."""
        return self.seqs.get(name, 99)

    def parent(self, plain: list[str], named: dict[str, str]) -> str:
        return self.both.send(int(plain[2]), plain[1], is_parent=True)

    def cancel(self, plain: list[str], named: dict[str, str]) -> str:
        return self.both.cancel(self.seq(plain[0]))

    def replace(self, plain: list[str], named: dict[str, str]) -> str:
        qty, _, px = plain[1].partition("@")
        return self.both.replace(self.seq(plain[0]), int(qty), int(px or 100))

    def says(self, plain: list[str], named: dict[str, str]) -> Told:
        name, exec_type, *amount = plain
        qty, _, px = (amount or ["0"])[0].partition("@")
        seq = self.seq(name)
        order = self.both.model.orders.get(seq)
        report: dict[str, Any] = {
            "street_revision": int(named.get("rev", self.answered(seq, exec_type))),
            "ord_status": named.get("told", ""),
            "trade_day": int(named.get("day", 0)),
            "venue_id": int(named.get("venue", order.venue_id if order else 1)),
            "flags": int(named.get("flags", 0)),
            "cum_qty": int(named.get("cum", 0)) * ONE,
            "leaves_qty": int(named.get("leaves", 0)) * ONE,
            "transact_time_ns": START_NS + int(named.get("late", 0)),
            "exec_id": named.get("exec", f"E{next(self.both.count)}"),
        }
        if "ref" in named:
            report["exec_ref_id"] = named["ref"]
        price = int(px or (100 if exec_type.startswith("trade") else 0))
        told = Told("", (seq, exec_type, int(named.get("qty", qty)), price), report)
        told.answer = self.say(told)
        return told

    def heard(self, plain: list[str], named: dict[str, str]) -> str:
        """Take a word that has come for certain: in no order of the others it moves."""
        return self.says(plain, named).answer

    def answered(self, seq: int, exec_type: str) -> int:
        """Find the revision that an answer names: of the last message of its kind."""
        kind = ANSWERS.get(exec_type, "")
        sent = [
            event["revision"]
            for event in self.both.engine.new_events(0)
            if event["kind"] == "routed" and event["order_seq"] == seq and event["msg_type"] == kind
        ]
        order = self.both.model.orders.get(seq)
        return int(sent[-1]) if sent else order.revision if order else 0

    def lost(self, plain: list[str], named: dict[str, str]) -> str:
        order = self.both.model.orders.get(self.seq(plain[0]))
        if order and self.both.model.may_lose(order.seq):
            self.both.lose(order.seq)
            return "accepted"
        return "accepted" if order and order.unsure else "nothing is in flight"

    def drop(self, plain: list[str], named: dict[str, str]) -> str:
        event = {"order_seq": self.seq(plain[0]), "msg_type": plain[1]}
        if not self.both.model.may_drop(event):
            return "it has left"
        self.both.fact("dropped_unsent", **event)
        return "accepted"

    def kill(self, plain: list[str], named: dict[str, str]) -> str:
        target = 0 if plain[0] == "desk" else 1
        self.both.fact("control", scope=plain[0], target_id=target, mode=plain[1])
        return "accepted"

    def mass(self, plain: list[str], named: dict[str, str]) -> str:
        scopes = ("account_id", "instrument_id", "of_session_id", "strategy_id", "venue_id")
        command = {"cl_ord_id": f"m{next(self.both.count)}", "session_id": 1}
        command |= dict.fromkeys(scopes, 0) | {"side": plain[0] if plain else ""}
        return self.both.command("mass_cancel", command)

    def day(self, plain: list[str], named: dict[str, str]) -> str:
        words = {"opened": int(plain[1] == "open"), "proved": int(plain[1] == "proved")}
        self.both.fact("day_change", venue_id=1, trade_day=int(plain[0]), **words)
        return "accepted"

    def limit(self, plain: list[str], named: dict[str, str]) -> str:
        """Let the account send no more than so many orders a second."""
        row = {"account_id": 1, "instrument_id": 0, "entity_id": 0, "window_ns": ONE}
        amounts = ("order_qty_max", "order_notional_max", "net_qty_max")
        row |= dict.fromkeys((*amounts, "gross_notional_max", "net_notional_max"), UNLIMITED)
        row |= {"limits_version": 100, "orders_max": int(plain[0])}
        self.both.fact("limit_row", scope="account", **row)
        self.both.fact("limits_activated", limits_version=100)
        return "accepted"

    def market(self, plain: list[str], named: dict[str, str]) -> str:
        self.both.trade(1, int(plain[0]) * ONE)
        return "accepted"

    def time(self, plain: list[str], named: dict[str, str]) -> str:
        self.both.time(self.both.model.now_ns + int(plain[0]) * ONE)
        return "accepted"

    def recovering(self, plain: list[str], named: dict[str, str]) -> str:
        self.both.fact("desk_state", recovering=int(plain[0]))
        return "accepted"

    def link(self, plain: list[str], named: dict[str, str]) -> str:
        self.both.fact("link_change", venue_id=1, state=plain[0])
        return "accepted"


def tell(tale: Tale, after: Callable[[Story], None] = lambda _: None) -> tuple[Story, list[Told]]:
    """Tell a story as it stands, every row checked; what its rows were, and when they could be."""
    story, told = Story(tale), list[Told]()
    left: dict[tuple[int, int], int] = {}  # order and revision of a message: inputs until it left
    ours = 0
    for row in tale.rows:
        before = story.both.engine.core.event_seq
        now = story.take(row)
        story.check(row, now.answer)
        if now.word:
            named = (now.word[0], now.report["street_revision"])
            now.after = left.get(named, left.get((named[0], 0), 0))
            now.named = story.has_sent(now)
        else:
            ours += 1
        for event in story.both.engine.new_events(before):
            if event["kind"] == "routed":
                left.setdefault((event["order_seq"], event["revision"]), ours)
        told.append(now)
        after(story)
    return story, told


def retell(
    tale: Tale,
    told: list[Told],
    order: Iterable[int],
    after: Callable[[Story, int], None] = lambda *_: None,
) -> tuple[Story, bool]:
    """Tell the rows in another order; whether what is ours was answered and sent as before."""
    story, same = Story(tale), True
    for place, at in enumerate(order):
        if told[at].word:
            same &= story.has_sent(told[at]) == told[at].named
            story.say(told[at])
        else:
            now = story.take(tale.rows[at])
            same &= now.answer == told[at].answer
            same &= now.sent == told[at].sent or tale.rows[at].verb not in ("market", "time")
        after(story, place)
    return story, same


def other_orders(tale: Tale, told: list[Told], draws: int) -> list[tuple[int, ...]]:
    """Give other orders of a story: no word comes before the message that it is about.

    Of up to five words every order is among them, each word as early as it can be. Beside them
    orders are drawn, and so is when a word comes between our own inputs, which stay in their order;
    as many as are asked for, and one for each turn.
    """
    ours = [at for at, row in enumerate(told) if not row.word]
    words = [at for at, row in enumerate(told) if row.word]
    draw = random.Random(len(told))

    def laid(words_now: Iterable[int], early: bool) -> tuple[int, ...]:
        order: list[int] = []
        taken = 0
        for at in words_now:
            upto = max(told[at].after, taken)
            upto = upto if early else draw.randint(upto, len(ours))
            order += [*ours[taken:upto], at]
            taken = upto
        return (*order, *ours[taken:])

    every = itertools.permutations(words) if len(words) <= 5 else ()
    found = dict.fromkeys(laid(words_now, early=True) for words_now in every)
    turns = [turn for turn in tale.turns if not any(turn.comes(order) for order in found)]
    for number in range(5000 if turns else draws):
        order = laid(draw.sample(words, len(words)), early=False)
        came = [turn for turn in turns if turn.comes(order)]
        if number < draws or came:
            found[order] = None
        turns = [turn for turn in turns if turn not in came]
        if number >= draws and not turns:
            break
    return list(found)
