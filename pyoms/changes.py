"""What people do with the limits of a desk: show them, change them, approve, look back.

Called by the commands. Reading folds the log and needs no engine; a change is worked out here as
rows and asked of the running engine, which judges it. What must stay true: a file is checked whole,
against the names of the desk, before a byte of it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyoms import limits, look
from pyoms.config import load_limits
from pyoms.kill import DeskNotReachableError

REASON_MAX = 40
"""Bytes of a reason that the log keeps."""


def show(desk: Path) -> dict[str, Any]:
    """Tell the limits in force from the log; with an engine also what is staged and what waits."""
    replay = look.fold(desk)
    names = look.names_of(replay)
    rows = [limits.tell(row, names) for row in limits.rows_from(replay.limit_rows())]
    told: dict[str, Any] = {
        "limits_version": replay.counters()["limits_version"],
        "limits_hash": f"{replay.limits_hash():#018x}",
        "limits": rows,
        "staging": None,
        "waiting": None,
    }
    try:
        asked = look.ask(desk, "limits")
    except DeskNotReachableError:
        return told
    told["staging"], told["waiting"] = asked["staging"], asked["waiting"]
    if waiting := asked["waiting"]:
        told["waiting"] = waiting | {"loosened": limits.tell_loosened(waiting["loosened"])}
    return told


def set_limits(desk: Path, file: Path, person: str, reason: str) -> dict[str, Any]:
    """Ask for the limits of a file in place of all that are in force.

    The answer has the version in force where they only tighten, else the ``change_hash`` that a
    second person approves and what it loosens.
    """
    words = " ".join(reason.split())
    if not words.isascii() or not words.isprintable() or len(words) > REASON_MAX:
        raise look.RequestError(
            f"reason {reason!r}: allowed are {REASON_MAX} printable ASCII characters"
        )
    who = look.word(person, "person")
    replay = look.fold(desk)
    names = look.names_of(replay)
    numbers = {
        entity: {name: number for number, name in there.items()} for entity, there in names.items()
    }
    wanted = load_limits(
        file,
        names={entity: list(numbers.get(entity, {})) for entity in limits.NAMED},
        throttle_orders_max=replay.capacities()["throttle_orders_max"],
    )
    rows = limits.rows_of(wanted, lambda entity, name: numbers[entity][name])
    rows = limits.changes(rows, limits.rows_from(replay.limit_rows()))
    version = replay.counters()["limits_version"]
    if not len(rows):
        return {"changed_rows": 0, "limits_version": version}
    line = f"limits rows={len(rows)} base={version} as={who} reason={words}"
    answer = look.ask(desk, line, rows.tobytes())
    if "loosened" in answer:
        answer["loosened"] = limits.tell_loosened(answer["loosened"])
    return {"changed_rows": len(rows), **answer}


def approve(desk: Path, change_hash: str, person: str) -> dict[str, Any]:
    """Approve a change of limits; the answer comes when it is in force."""
    who, what = look.word(person, "person"), look.word(change_hash, "change hash")
    return look.ask(desk, f"limits approve={what} as={who}")


def history(desk: Path) -> Iterator[dict[str, Any]]:
    """Tell every change of the limits that the log holds, oldest first."""
    from pyoms.tape import open_log

    if not (desk / "desk_id").is_file():
        raise DeskNotReachableError(f"{desk}: no desk is here")
    with look.damage_told(desk):
        for change in limits.history(open_log(desk).batches()):
            time_ns = change.pop("time_ns")
            yield {"event_seq": change.pop("event_seq"), "time": look.time_text(time_ns), **change}
