"""What people ask a desk from a shell: its state folded from the log, and requests to its engine.

Called by the commands. Reading needs no engine: the log is folded here, of a running desk as of a
stopped one, and nothing is written. What must stay true: a request that a running engine must
answer says so when there is none; every name comes from the log itself.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyoms.errors import JournalError, OmsError, ReplayError
from pyoms.kill import DeskNotReachableError, resolve
from pyoms.numbers import to_text
from pyoms_core.layout import CODES, KINDS, NAMES

SEQ_MAX = 2**63 - 1
"""Largest number that a request may give."""


class RequestError(OmsError):
    """A request that the desk refuses, or that makes no sense."""

    code = "request"


class DamageError(OmsError):
    """The log is damaged: a check that failed, not a bad request."""

    code = "damaged"
    exit_code = 1


@contextlib.contextmanager
def damage_told(desk: Path) -> Iterator[None]:
    """Tell a log that cannot be read for its damage from one that is missing or misasked."""
    import pyoms_native as native

    try:
        yield
    except (JournalError, ReplayError) as error:
        if native.verify_log(desk)["damage"] is None:
            raise
        raise DamageError(str(error)) from None


def ask(desk: Path, line: str, follows: bytes | None = None) -> dict[str, Any]:
    """Send one request to the running engine; DeskNotReachableError when none runs.

    `follows` are the bytes behind the line, where it announces some.
    """
    import pyoms_native as native
    from pyoms.errors import DeskError

    if not (desk / "control.sock").exists():
        raise DeskNotReachableError(f"{desk}: no engine runs on this desk")
    try:
        answer: dict[str, Any] = json.loads(native.ask(desk, line, follows))
    except DeskError as error:
        raise DeskNotReachableError(f"{desk}: the engine does not answer: {error}") from None
    if not answer.get("ok", False):
        raise RequestError(str(answer.get("error", "the desk refused")))
    return {key: value for key, value in answer.items() if key != "ok"}


def word(text: str, what: str) -> str:
    """One word of a request line; RequestError where it could be read as more."""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise RequestError(f"{what} {text!r} is not one word of printable ASCII")
    return text


def ask_release(desk: Path, person: str, scope: str, target: str, reason: str) -> dict[str, Any]:
    """Ask for a release of one scope; the answer carries the ``change_hash``."""
    number = 0 if scope == "desk" else resolve(desk, scope, target)
    words = " ".join(reason.split())
    if not words.isascii() or not words.isprintable():
        raise RequestError(f"reason {reason!r} is not printable ASCII")
    who = word(person, "person")
    return ask(desk, f"release scope={scope} id={number} as={who} reason={words}")


def approve(desk: Path, person: str, change_hash: str) -> dict[str, Any]:
    """Approve a release; the answer carries the ``epoch``."""
    return ask(
        desk, f"release as={word(person, 'person')} approve={word(change_hash, 'change hash')}"
    )


def close_day(desk: Path, venue: str, day: dt.date, person: str) -> dict[str, Any]:
    """Tell a running desk that a venue's day is over and proved; the answer carries its event."""
    from pyoms.terms import expire_day

    return ask(
        desk,
        f"day venue={word(venue, 'venue')} trade_day={expire_day(day, 'day')} opened=0 "
        f"proved_by={word(person, 'person')}",
    )


# Prices and quantities at 1e-9: told as decimal text.
_FIXED = frozenset(
    (
        *("price", "order_qty", "last_px", "last_qty", "cum_qty", "leaves_qty", "fee", "tick"),
        *("lot", "qty_min", "qty_max", "net_qty", "rate", "contract_multiplier", "trigger_px"),
        *("order_qty_max", "net_qty_max", "price_from", "close_qty", "open_qty", "close_fee"),
        *("open_fee", "avg_px"),
    )
)
# Fields whose enumeration has another name.
_CODED = {"desk_mode": "kill_mode", "mode": "kill_mode", "cause": "kill_cause"}
_HEADER = frozenset(("event_seq", "ingest_time_ns", "order_seq", "kind", "more", "epoch", "crc32c"))
_QUIET = ("reserved", "body_hash")


def capacities_of(desk: Path) -> dict[str, int]:
    """Give the capacities that the desk's log was written with, from its ``desk.toml``."""
    from pyoms.config import load
    from pyoms.oms import capacities

    path = desk / "desk.toml"
    return capacities(load(path)) if path.is_file() else {}


def fold(desk: Path, *, at_seq: int | None = None, at_time_ns: int | None = None) -> Any:
    """Fold the desk's log, whole or up to a point; DeskNotReachableError when no desk is there."""
    import pyoms_native as native

    if not (desk / "desk_id").is_file():
        raise DeskNotReachableError(f"{desk}: no desk is here")
    with damage_told(desk):
        return native.Replay(desk, capacities_of(desk), at_seq=at_seq, at_time_ns=at_time_ns)


def names_of(replay: Any) -> dict[str, dict[int, str]]:
    """Give entity -> number -> name of everything the log defines."""
    names: dict[str, dict[int, str]] = {}
    for row in replay.definitions():
        names.setdefault(row["entity"], {})[row["id"]] = row["name"]
    return names


def known(replay: Any, **wanted: str) -> None:
    """Refuse names that the log does not define; an empty one asks for nothing."""
    names = names_of(replay)
    for entity, name in wanted.items():
        there = names.get(entity, {}).values()
        if name and name not in there:
            raise RequestError(
                f"{entity} {name!r} is not defined; there are {', '.join(there) or 'none'}"
            )


def order_rows(
    replay: Any, *, live: bool, symbol: str = "", account: str = ""
) -> list[dict[str, Any]]:
    """Give orders as rows of text: the fields of an order query first, then FIX names."""
    names = names_of(replay)
    rows = []
    for o in replay.orders(live=live):
        row = {
            "order_id": o["order_seq"],
            "symbol": names.get("instrument", {}).get(o["instrument_id"], ""),
            "side": o["side"],
            "order_type": o["ord_type"],
            "price": to_text(o["price"]),
            "quantity_total": to_text(o["order_qty"]),
            "quantity_filled": to_text(o["cum_qty"]),
            "quantity_remaining": to_text(o["leaves_qty"]),
            "status": o["ord_status"],
            "venues": [] if o["is_parent"] else [names.get("venue", {}).get(o["venue_id"], "")],
            "cl_ord_id": o["cl_ord_id"],
            "account": names.get("account", {}).get(o["account_id"], ""),
            "session": names.get("session", {}).get(o["session_id"], ""),
            "strategy": names.get("strategy", {}).get(o["strategy_id"], ""),
            "time_in_force": o["time_in_force"],
            "avg_px": average(o["cum_points"], o["cum_qty"]),
            "parent_order_seq": o["parent_order_seq"],
            "street_id": o["street_id"],
        }
        if (not symbol or row["symbol"] == symbol) and (not account or row["account"] == account):
            rows.append(row)
    return rows


def average(points: int, qty: int) -> str:
    """Mean price of all fills as text, cut at nine decimals; empty where there are none."""
    return to_text(points // qty) if qty else ""


def position_rows(replay: Any) -> list[dict[str, Any]]:
    """Give positions as rows of text; money in the instrument's currency.

    A hedging account has three rows an instrument: the whole, the long and the short leg.
    """
    from pyoms.engine import valued

    names = names_of(replay)
    rows = []
    for whole in replay.positions():
        legs = replay.legs(whole["account_id"], whole["instrument_id"])
        rows += [
            {
                "account": names.get("account", {}).get(row["account_id"], ""),
                "symbol": names.get("instrument", {}).get(row["instrument_id"], ""),
                "position_leg": row["position_leg"],
                "currency": names.get("currency", {}).get(row["currency_id"], ""),
                "net_qty": to_text(row["net_qty"]),
                "bought_qty": to_text(row["bought_qty"]),
                "sold_qty": to_text(row["sold_qty"]),
                **valued(row),
            }
            for row in (whole, *legs)
        ]
    return rows


def tell_event(record: bytes) -> dict[str, Any]:
    """Tell one record of the log by names and decimal text."""
    from pyoms_core.dispatch import event
    from pyoms_core.layout import NO_PRICE, TABLES

    e = event(record)
    kind = e.kind_name
    told: dict[str, Any] = {
        "event_seq": e.event_seq,
        "time": time_text(e.ingest_time_ns),
        "kind": kind,
        "order_seq": e.order_seq,
    }
    for name, _, at in TABLES[kind][1]:
        if (name in _HEADER and at < 32) or name.startswith(_QUIET):
            continue
        # The record's own `name` lies behind a method of that name.
        value = e.__getattr__(name) if name == "name" else getattr(e, name, None)
        if isinstance(value, (bytes, memoryview)):
            value = bytes(value).rstrip(b"\0").decode("ascii", "backslashreplace")
        elif name in _FIXED:
            value = None if value in (None, NO_PRICE) else to_text(int(value or 0))
        elif (codes := NAMES.get(_CODED.get(name, name))) is not None and value in codes:
            value = codes[value]
        elif name.endswith("hash") or name == "log_id":
            value = f"{value:#018x}"
        told[name] = value if isinstance(value, (str, int, type(None))) else str(value)
    if kind == "position_split":
        low, high = told.pop("realised_low"), told.pop("realised_high")
        told["realised_points"] = points_text(high << 64 | low)
    return told


def points_text(points: int) -> str:
    """Price times quantity, an integer at 1e-18, as exact decimal text."""
    whole, rest = divmod(abs(points), 10**18)
    decimals = f".{rest:018d}".rstrip("0") if rest else ""
    return f"{'-' if points < 0 else ''}{whole}{decimals}"


def event_rows(
    desk: Path, *, first: int = 1, last: int = 0, order: int = 0, kind: str = ""
) -> Iterator[dict[str, Any]]:
    """Tell the events of a desk from sequence `first` on, or its `last` ones, filtered."""
    from pyoms.tape import open_log

    if not (desk / "desk_id").is_file():
        raise DeskNotReachableError(f"{desk}: no desk is here")
    if kind and kind not in KINDS:
        raise RequestError(f"kind {kind!r} is not one of {', '.join(KINDS)}")
    with damage_told(desk):
        log = open_log(desk)
    at = max(first, log.first_seq)
    if last and not (order or kind):
        at = max(at, log.next_seq - last)
    found: deque[dict[str, Any]] = deque(maxlen=last or None)
    for batch in log.batches(at):
        rows = batch.records
        wanted = rows["event_seq"] >= at
        if order:
            wanted &= rows["order_seq"] == order
        if kind:
            wanted &= rows["kind"] == KINDS[kind]
        for row in rows[wanted]:
            if last:
                found.append(tell_event(row.tobytes()))
            else:
                yield tell_event(row.tobytes())
    yield from found


def time_text(time_ns: int) -> str:
    """UTC time of day with nanoseconds, as ISO 8601 writes it."""
    seconds, ns = divmod(time_ns, 1_000_000_000)
    whole = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns:09d}Z"


def status_of(desk: Path) -> dict[str, Any]:
    """Give where a desk stands: from its engine where one runs, else folded from its log."""
    from pyoms import kill

    if not (desk / "desk_id").is_file():
        raise DeskNotReachableError(f"{desk}: no desk is here")
    switch = kill.read(desk)
    words: dict[str, Any] = {
        "desk": str(desk),
        "switch": switch.mode,
        "switch_problem": switch.problem,
        "switched": {scope: modes for scope, modes in switch.entities.items() if modes},
    }
    try:
        return {**words, "running": True, **ask(desk, "status")}
    except DeskNotReachableError:
        words["running"] = False
    try:
        replay = fold(desk)
        started = list(event_rows(desk, last=1, kind="epoch_started"))
    except DamageError as error:
        return {**words, "mode": switch.mode, "damage": str(error)}
    counters = replay.counters()
    logged = NAMES["kill_mode"].get(counters["desk_mode"], "halt")
    return {
        **words,
        "mode": max(logged, switch.mode, key=lambda mode: CODES["kill_mode"][mode].code),
        "tier": started[-1]["tier"] if started else "",
        "epoch": counters["epoch"],
        "published_seq": replay.last_seq,
        "live_orders": counters["live_orders"],
        "state_hash": f"{replay.state_hash():016x}",
    }


def parse_point(text: str, desk: Path) -> dict[str, int]:
    """Read ``--at``: an event number, or a UTC time (``HH:MM:SS`` is on the day of the log)."""
    from pyoms.tape import open_log

    if text.isascii() and text.isdigit():
        if int(text[:32]) > SEQ_MAX or len(text) > 32:
            raise RequestError(f"--at {text[:32]} is above the last event number {SEQ_MAX}")
        return {"at_seq": int(text)}
    with damage_told(desk):
        record = open_log(desk).record(1)
    first_ns = int.from_bytes(record[8:16], "little") if record else 0
    day = dt.datetime.fromtimestamp(first_ns / 1e9, dt.UTC).date()
    try:
        whole = text if "T" in text else f"{day}T{text}"
        at = dt.datetime.fromisoformat(whole)
        at = at.astimezone(dt.UTC) if at.tzinfo else at.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        raise RequestError(
            f"--at {text!r} is neither an event number nor a time such as 23:10:00 or "
            "2023-12-25T23:10:00"
        ) from None
    at_time_ns = int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1_000
    if not 0 <= at_time_ns <= SEQ_MAX:
        raise RequestError(f"--at {text} is not within 1970-01-01 to 2262-04-11")
    return {"at_time_ns": at_time_ns}
