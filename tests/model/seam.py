"""Where the oracle meets the engine: records to events of the model, commands to records.

The only file of the oracle that imports pyoms: it reads the generated numpy dtypes and codes, and
drives an inline engine. Called by the tests of the model. What must stay true: nothing is judged
here; a number or a name goes through as the record has it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

import pyoms_native
from pyoms.records import record
from pyoms.tape import Tape
from pyoms_core import layout
from tests.model import found
from tests.model.desk import Desk, Event
from tests.model.money import Position

NAMED = {
    "side": "side",
    "ord_type": "ord_type",
    "time_in_force": "time_in_force",
    "exec_type": "exec_type",
    "ord_status": "ord_status",
    "disposition": "disposition",
    "verdict": "verdict",
    "scope": "scope",
    "mode": "kill_mode",
    "phase": "phase",
    "entity": "entity",
    "msg_type": "msg_type",
    "contingency": "contingency",
    "outcome": "trigger_outcome",
    "why": "own_cause",
    "state": "link_state",
    "position_leg": "position_leg",
    "peg_type": "peg_type",
    "priority": "queue_priority",
}
"""Fields that are codes, and of which enumeration."""


ZERO_MEANS = (
    *("verdict", "mode", "contingency", "scope", "phase", "state", "exec_type"),
    *("position_leg", "peg_type", "priority"),
)
"""Fields whose code 0 has a name."""
EXEC_INST = {
    "post_only": layout.EXEC_POST_ONLY,
    "reduce_only": layout.EXEC_REDUCE_ONLY,
    "trail_ppm": layout.EXEC_TRAIL_PPM,
    "iceberg_here": layout.EXEC_ICEBERG_HERE,
    "by_quote": layout.EXEC_BY_QUOTE,
    "none_of_these": 128,
}
"""Bits of ExecInst(18)."""
DTYPE = functools.cache(layout.dtype)
REFS = ("exec_ref_id", "trd_match_id", "secondary_exec_id", "restatement_reason", "avg_px")
"""What a record before a report says more of it."""


def code(enumeration: str, name: str) -> int:
    """Give the code of a name; a name of digits stands for itself, for codes that are none."""
    return int(name) if name.isdigit() else int(layout.CODES[enumeration][name].code)


def name_of(enumeration: str, number: int) -> str:
    """Give the name of a code; its digits when it is none."""
    return str(layout.NAMES[enumeration].get(number, number))


def text(field: bytes) -> str:
    """Read a zero padded text."""
    return field.rstrip(b"\0").decode("latin-1")


def street(field: str) -> tuple[int, int, int]:
    """Split a street id, base 36 of epoch (4), order (10) and revision (3); zeros if it is none."""
    try:
        if len(field) != 17:
            raise ValueError
        return int(field[:4], 36), int(field[4:14], 36), int(field[14:], 36)
    except ValueError:
        return (0, 0, 0)


def base36(number: int, width: int) -> str:
    """Write a number in base 36."""
    digits = ""
    while number or len(digits) < width:
        number, rest = divmod(number, 36)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest] + digits
    return digits


def street_id(epoch: int, seq: int, revision: int) -> str:
    """Write a street id."""
    return base36(epoch, 4) + base36(seq, 10) + base36(revision, 3)


def event_of(kind: str, row: Any) -> Event:
    """Make one row of a kind's dtype an event of the model."""
    event: Event = {"kind": kind, "time_ns": int(row["ingest_time_ns"])}
    for name, stored in zip(row.dtype.names, row.item(), strict=True):
        if name == "kind" or isinstance(stored, np.ndarray):
            continue
        value = stored
        if name == "exec_inst":
            value = tuple(word for word, bit in EXEC_INST.items() if value & bit)
        elif name in NAMED and not (kind == "definition" and name == "level"):
            value = name_of(NAMED[name], value) if value or name in ZERO_MEANS else ""
        elif isinstance(value, bytes):
            value = text(value)
        event[name] = value
    if kind == "definition" and event["entity"] == "venue":
        event["replace_rule"] = name_of("replace_rule", int(row["level"]))
        event["queue_rule"] = name_of("queue_rule", int(row["queue_rule"]))
    elif kind in ("order_accepted", "new_order"):
        event["is_parent"] = bool(int(row["tags"]) & layout.TAG_PARENT)
        event["has_terms"] = bool(int(row["tags"]) & layout.TAG_TERMS)
        effect = int(row["tags"]) >> layout.TAG_EFFECT_SHIFT & 3
        event["effect"] = name_of("position_effect", effect) if effect else ""
    elif kind == "definition" and event["entity"] == "account":
        event["hedging"] = bool(int(row["flags"]) & layout.ACCOUNT_HEDGING)
    elif kind == "execution_report":
        split = street(event["street_id"])
        event["street_epoch"], event["street_seq"], event["street_revision"] = split
        event |= flagged(event["flags"])
    elif kind == "triggered":
        event["cause"] = name_of("trigger_cause", int(row["cause"]))
    return event


def flagged(flags: int) -> Event:
    """Tell the flags of a report."""
    told: Event = {"poss_dup": bool(flags & layout.REPORT_POSS_DUP)}
    told["again"] = told["poss_dup"] or bool(flags & layout.REPORT_POSS_RESEND)
    told["queried"] = bool(flags & layout.REPORT_QUERIED)
    return told | {"drop_copy": bool(flags & layout.REPORT_DROP_COPY)}


def referred(ids: Event) -> Event:
    """Tell what the ids before a report say of it: what it amends, what it matches, a reason."""
    matches = (ids.get("trd_match_id"), ids.get("secondary_exec_id"))
    told: Event = {"match_ids": tuple(match for match in matches if match)}
    told["reason"] = name_of("restatement_reason", ids.get("restatement_reason", 0))
    return told | {"exec_ref_id": ids.get("exec_ref_id", ""), "avg_px": ids.get("avg_px", 0)}


def event_of_bytes(raw: bytes) -> Event:
    """Make a record an event of the model."""
    kind = layout.KIND_NAMES[int.from_bytes(raw[24:26], "little")]
    return event_of(kind, np.frombuffer(raw, dtype=DTYPE(kind))[0])


def fold_log(batches: Iterator[Any], desk: Desk) -> list[str]:
    """Fold a log; every report is judged again, and what the engine said otherwise is told."""
    differ: list[str] = []
    splits: list[Event] = []
    ids: Event = {}
    foreign: Event = {}
    for batch in batches:
        for kind, rows in batch.runs():
            for row in rows:
                event = event_of(kind, row)
                if kind == "exec_ref":
                    ids = event
                if kind == "foreign_order":
                    foreign = event
                if kind == "execution_report":
                    event, ids = event | referred(ids), {}
                    desk.now_ns = max(desk.now_ns, event["time_ns"])
                    if foreign and found.differs(desk, foreign, event):
                        differ.append(f"event {event['event_seq']}: model differs of {foreign}")
                    foreign = {}
                    order, disposition = desk.judge(event)
                    said = (event["order_seq"], event["disposition"])
                    if said != (order.seq if order else 0, disposition):
                        differ.append(f"event {event['event_seq']}: {said}, model {disposition}")
                    if splits:
                        differ.append(f"event {event['event_seq']}: {splits} was not told")
                    splits = [split] if (split := desk.split(event)) else []
                if kind == "position_split":
                    told = split_of(event)
                    if splits != [told]:
                        differ.append(f"event {event['event_seq']}: {told}, model {splits}")
                    splits = []
                desk.apply(event)
    return differ + [f"{split} was not told" for split in splits]


def split_of(event: Event) -> Event:
    """Give what the model says of a fill's parts as a record has it."""
    same = ("close_qty", "open_qty", "close_fee", "open_fee", "position_leg", "over_close")
    told = {name: event[name] for name in (*same, "last_px", "exec_id", "order_seq")}
    return told | {"realised_points": event["realised_high"] << 64 | event["realised_low"]}


def limit_order(cl_ord_id: str, side: str, qty: int, price: int) -> Event:
    """Make a plain day order of the first account and instrument, a command of the model."""
    return {
        "cl_ord_id": cl_ord_id,
        "instrument_id": 1,
        "price": price,
        "order_qty": qty,
        "parent_order_seq": 0,
        "account_id": 1,
        "session_id": 1,
        "strategy_id": 0,
        "venue_id": 0,
        "side": side,
        "ord_type": "limit",
        "time_in_force": "day",
        "is_parent": False,
        "has_terms": False,
        "effect": "",
    }


class Driven:
    """An inline engine driven by the model's commands, its answers as the model's."""

    def __init__(self, core: pyoms_native.Port) -> None:
        assert isinstance(core, pyoms_native.Engine)
        self.core = core

    def new_events(self, after: int) -> list[Event]:
        """Events of the log behind a sequence."""
        events = []
        for seq in range(after + 1, self.core.event_seq + 1):
            raw = self.core.record(seq)
            assert raw is not None
            events.append(event_of_bytes(raw))
        return events

    def log(self) -> Tape:
        """Read the log from its beginning."""
        return Tape(self.core.tape(1))

    def step(self, kind: str, **fields: Any) -> tuple[str, list[Event]]:
        """Take one input: the verdict's name and the events it left."""
        before = self.core.event_seq
        verdict = self.core.step(record(kind, **fields))
        return name_of("verdict", verdict), self.new_events(before)

    def fact(self, kind: str, event: Event) -> tuple[str, list[Event]]:
        """Take a fact of the model."""
        words = {k: v for k, v in event.items() if isinstance(v, str) and k in NAMED}
        named = {k: code(NAMED[k], v) for k, v in words.items()}
        return self.step(kind, **event | named)

    def position_mode(self, account_id: int, hedging: bool) -> tuple[str, list[Event]]:
        """Define an account anew, by the name that the lives give it."""
        fields = {"entity": code("entity", "account"), "level": code("account_level", "account")}
        flags = layout.ACCOUNT_HEDGING * hedging
        return self.step("definition", name=f"A{account_id}".encode(), flags=flags, **fields)

    def offer(self, terms: Event) -> tuple[str, list[Event]]:
        """Take the terms that a session offers for its next command."""
        bits = sum(EXEC_INST[word] for word in terms["exec_inst"])
        words = {name: code(name, terms[name]) for name in ("contingency", "peg_type")}
        return self.step("order_terms", **terms | {"exec_inst": bits} | words)

    def trade(self, instrument_id: int, price: int) -> tuple[str, list[Event]]:
        """Take a trade of the market."""
        fields = {"instrument_id": instrument_id, "price": price, "qty": layout.ONE}
        return self.step("book_update", action=code("book_action", "trade"), **fields)

    def command(self, kind: str, command: Event) -> tuple[str, list[Event]]:
        """Take a command of the model."""
        bits = ("is_parent", "has_terms", "effect")
        fields = {k: v for k, v in command.items() if k not in bits}
        for name in ("side", "ord_type", "time_in_force"):
            if name in fields:
                fields[name] = code(name, fields[name]) if fields[name] else 0
        if kind in ("new_order", "replace_order"):
            fields["tags"] = layout.TAG_PARENT if command.get("is_parent") else 0
            fields["tags"] |= layout.TAG_TERMS if command.get("has_terms") else 0
            effect = code("position_effect", command.get("effect") or "none")
            fields["tags"] |= effect << layout.TAG_EFFECT_SHIFT
        raw = bytearray(record(kind, **{k: v for k, v in fields.items() if k != "cl_ord_id"}))
        raw[32:68] = command["cl_ord_id"].encode("latin-1")[:36].ljust(36, b"\0")
        before = self.core.event_seq
        verdict = self.core.step(bytes(raw))
        return name_of("verdict", verdict), self.new_events(before)

    def report(self, r: Event) -> tuple[str, list[Event]]:
        """Take a venue's word of the model; an id of the venue's own stands for itself."""
        fields = {k: v for k, v in r.items() if not k.startswith("street_") and k not in REFS}
        fields["exec_type"] = code("exec_type", r["exec_type"])
        fields["ord_status"] = code("ord_status", r["ord_status"]) if r["ord_status"] else 0
        split = (r["street_epoch"], r["street_seq"], r["street_revision"])
        before = self.core.event_seq
        ids = {name: r[name] for name in REFS if name in r}
        if ids:
            own = {"exec_id": r["exec_id"], "venue_id": r["venue_id"]}
            self.core.step(record("exec_ref", **own, **ids))
        named = r.get("street_id") or street_id(*split)
        taken = self.core.report(record("execution_report", street_id=named, **fields))
        return name_of("disposition", taken), self.new_events(before)


def order_of(row: dict[str, Any]) -> dict[str, Any]:
    """Give what the model compares of an order as the engine shows it."""
    keys = ("cl_ord_id", "ord_status", "price", "order_qty", "cum_qty", "leaves_qty", "cum_points")
    more = ("revision", "is_live", "is_unsure", "is_cancel_asked", "parent_order_seq")
    return {key: row[key] for key in keys + more}


def model_order(desk: Desk, seq: int) -> dict[str, Any]:
    """Give the same of the model's order."""
    order = desk.orders[seq]
    return {
        "cl_ord_id": order.cl_ord_id,
        "ord_status": order.status,
        "price": order.price,
        "order_qty": order.qty,
        "cum_qty": order.cum_qty,
        "leaves_qty": order.leaves_qty,
        "cum_points": order.cum_points,
        "revision": order.revision,
        "is_live": order.live,
        "is_unsure": order.unsure,
        "is_cancel_asked": order.asked and not order.canceling,
        "parent_order_seq": order.parent_seq,
    }


def position_of(row: dict[str, Any]) -> dict[str, Any]:
    """Give what the model compares of a position as the engine shows it."""
    keys = ("net_qty", "open_points", "realised_points", "fees", "bought_qty", "sold_qty")
    return {key: row[key] for key in keys}


def model_position(desk: Desk, pair: tuple[int, int]) -> dict[str, Any]:
    """Give the same of the model's position."""
    return sums_of(desk.position(*pair))


def sums_of(position: Position) -> dict[str, Any]:
    """Give what is compared of a book of the model's."""
    return {
        "net_qty": position.net_qty,
        "open_points": position.open_points,
        "realised_points": position.realised_points,
        "fees": position.fees,
        "bought_qty": position.bought_qty,
        "sold_qty": position.sold_qty,
    }


def assert_agree(core: pyoms_native.Port, desk: Desk, micro: int = 0) -> None:
    """Compare every order, position, reserve and account of engine and model.

    `micro`: how many 1e-6 of desk currency the sums of an account may differ by: the cost that is
    left by a partial close may lie a hair below a whole one, and the engine's rates round up.
    """
    rows = {row["order_seq"]: order_of(row) for row in core.orders(live=False)}
    assert rows.keys() == desk.orders.keys()
    for seq, row in rows.items():
        expected = model_order(desk, seq)
        if not row["cl_ord_id"] and desk.forgotten(desk.orders[seq]):
            del row["cl_ord_id"], expected["cl_ord_id"]
        assert row == expected, (seq, [(k, row[k], v) for k, v in expected.items() if row[k] != v])
    positions = {(p["account_id"], p["instrument_id"]): position_of(p) for p in core.positions()}
    for pair in {*positions, *desk.bookings}:
        row = positions.get(pair) or position_of(core.position(*pair))
        assert row == model_position(desk, pair), pair
        legs = [(leg["position_leg"], position_of(leg)) for leg in core.legs(*pair)]
        books = ("long", "short") if pair[0] in desk.hedged else ()
        assert legs == [(leg, sums_of(desk.leg(*pair, leg))) for leg in books], pair
    for account_id in desk.accounts:
        for instrument_id in desk.instruments:
            buys = desk.open_side(account_id, instrument_id, True)
            sells = desk.open_side(account_id, instrument_id, False)
            shown = core.exposure(account_id, instrument_id)
            assert shown == (buys[0], sells[0], buys[1], sells[1]), (account_id, instrument_id)
        sums = zip(core.account_sums(account_id), desk.account_sums(account_id), strict=True)
        assert all(abs(ours - theirs) <= micro for ours, theirs in sums), account_id
