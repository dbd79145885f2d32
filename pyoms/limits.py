"""Limits as data: rows of a configuration become the log's records, and two tables a change.

Called by the composition root at a start and by the verbs that people change limits with. What must
stay true: a table is compiled whole or not at all, a change names every row that differs and every
row that is gone, and which of them is looser is the engine's to say, never said here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from pyoms.config import LIMIT_EXTRAS, LIMIT_FIELDS, UNLIMITED, LimitConfig
from pyoms.numbers import to_text
from pyoms_core.layout import CODES, KINDS, LIMIT_REMOVED, NAMES, dtype

Rows = np.ndarray[Any, np.dtype[Any]]
"""Records of limits, side by side."""

_KIND = "limit_row"
_IDS = {"account": "account_id", "instrument": "instrument_id", "entity": "entity_id"}
# Fields of a configuration's row that the record has in another unit: name there, factor.
_UNITS = {"window_ms": ("window_ns", 1_000_000)}
NAMED = ("account", "instrument", "session", "strategy", "trader", "sector")
"""Entities that rows of limits name."""
_SCOPES = {code.code: name for name, code in CODES["scope"].items()}


def rows_of(limits: Iterable[LimitConfig], id_of: Callable[[str, str], int]) -> Rows:
    """Compile rows of a configuration; `id_of` gives the number of an entity's name."""
    given = list(limits)
    rows = np.zeros(len(given), dtype=dtype(_KIND))
    rows["kind"] = KINDS[_KIND]
    rows["scope"] = [limit.scope_code for limit in given]
    for field in dataclasses.fields(LimitConfig):
        name = field.name
        values = [getattr(limit, name) for limit in given]
        if name in _IDS:
            of = [limit.scope if name == "entity" else name for limit in given]
            named = zip(of, values, strict=True)
            rows[_IDS[name]] = [id_of(kind, word) if word else 0 for kind, word in named]
        elif name != "scope":
            target, factor = _UNITS.get(name, (name, 1))
            rows[target] = [value * factor for value in values]
    return rows


def rows_from(data: bytes) -> Rows:
    """Rows from the bytes that an engine gives."""
    return np.frombuffer(data, dtype=dtype(_KIND)).copy()


def _keys(rows: Rows) -> list[tuple[int, ...]]:
    parts = [rows[name].tolist() for name in ("scope", *_IDS.values())]
    return list(zip(*parts, strict=True))


def _bodies(rows: Rows) -> list[bytes]:
    size, data = rows.dtype.itemsize, rows.tobytes()
    return [data[at : at + size] for at in range(0, len(data), size)]


def changes(wanted: Rows, in_force: Rows) -> Rows:
    """Give the rows that lead from what is in force to what is wanted, whole.

    A row that is in force and not wanted stands there to be taken away.
    """
    held = dict(zip(_keys(in_force), _bodies(in_force), strict=True))
    told = zip(_keys(wanted), _bodies(wanted), strict=True)
    differ = [at for at, (key, body) in enumerate(told) if held.get(key) != body]
    keep = set(_keys(wanted))
    gone = in_force[[at for at, key in enumerate(_keys(in_force)) if key not in keep]]
    gone["scope"] |= LIMIT_REMOVED
    return np.concatenate([wanted[differ], gone])


def value_text(field: str, value: int | None) -> str | None:
    """Give a limit's value as people write it."""
    if value is None:
        return None
    if value == UNLIMITED:
        return "unlimited"
    return to_text(value) if field.endswith("qty_max") else str(value)


def whose(row: Any, names: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    """Tell what a row is about: its scope, and names."""
    code = int(row["scope"]) & ~LIMIT_REMOVED
    told = {"scope": _SCOPES.get(code, str(code))}
    for entity, field in _IDS.items():
        if number := int(row[field]):
            of = told["scope"] if entity == "entity" else entity
            told[of] = names.get(of, {}).get(number, str(number))
    return told


def tell(row: Any, names: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    """Tell one row by names, with the limits that its scope has."""
    told = whose(row, names)
    scope = told["scope"]
    for name in (*LIMIT_FIELDS.get(scope, ()), *LIMIT_EXTRAS.get(scope, ())):
        field, factor = _UNITS.get(name, (name, 1))
        value = int(row[field]) // factor
        if name in LIMIT_FIELDS[scope] or value not in (0, UNLIMITED):
            told[name] = value_text(name, value)
    return told


def tell_loosened(told: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tell what a desk says a change loosens, in the units that people write."""
    return [
        {
            **row,
            "old": value_text(row["field"], row["old"]),
            "new": value_text(row["field"], row["new"]),
        }
        for row in told
    ]


def history(batches: Iterable[Any]) -> Iterable[dict[str, Any]]:
    """Yield every change of limits of a log: who, who approved, why, and each limit, old and new.

    Parameters
    ----------
    batches : iterable of ``Batch``
        The whole log, from its beginning.
    """
    names: dict[str, dict[int, str]] = {}
    in_force: dict[tuple[int, ...], dict[str, Any]] = {}
    staged: list[Any] = []
    reasons: dict[int, str] = {}
    kinds = {KINDS[name]: name for name in ("definition", _KIND, "limits_activated", "approval")}
    kinds[KINDS["epoch_started"]] = "epoch_started"
    for batch in batches:
        records = batch.records
        for record in records[np.isin(records["kind"], list(kinds))]:
            kind = kinds[int(record["kind"])]
            row = np.frombuffer(record.tobytes(), dtype=dtype(kind))[0]
            if kind == "definition":
                entity = NAMES["entity"].get(int(row["entity"]), "")
                names.setdefault(entity, {})[int(row["id"])] = _text(row["name"])
            elif kind == "approval":
                reasons[int(row["change_hash"])] = _text(row["reason"])
            elif kind == _KIND:
                staged.append(row)
            elif kind == "epoch_started":
                staged.clear()  # what a crash left staged was never in force
            else:
                yield _change(row, staged, in_force, names, reasons)
                staged.clear()


def _text(value: Any) -> str:
    return bytes(value).rstrip(b"\0").decode("ascii", "backslashreplace")


def _change(
    active: Any,
    staged: list[Any],
    in_force: dict[tuple[int, ...], dict[str, Any]],
    names: Mapping[str, Mapping[int, str]],
    reasons: Mapping[int, str],
) -> dict[str, Any]:
    """Tell one activation, and put its rows into the table."""
    changed = []
    for row in staged:
        scope = int(row["scope"]) & ~LIMIT_REMOVED
        key = (scope, *(int(row[field]) for field in _IDS.values()))
        told, old, of = tell(row, names), in_force.get(key, {}), whose(row, names)
        new = {} if int(row["scope"]) & LIMIT_REMOVED else told
        changed += [
            {**of, "field": name, "old": old.get(name), "new": new.get(name)}
            for name in (
                *LIMIT_FIELDS.get(told["scope"], ()),
                *LIMIT_EXTRAS.get(told["scope"], ()),
            )
            if old.get(name) != new.get(name)
        ]
        if new:
            in_force[key] = new
        else:
            in_force.pop(key, None)
    change_hash = int(active["change_hash"])
    return {
        "event_seq": int(active["event_seq"]),
        "time_ns": int(active["ingest_time_ns"]),
        "limits_version": int(active["limits_version"]),
        "limits_hash": f"{int(active['limits_hash']):#018x}",
        "change_hash": f"{change_hash:#018x}" if change_hash else None,
        "person": _text(active["person"]),
        "approver": _text(active["approver"]),
        "reason": reasons.get(change_hash, "configuration of a start"),
        "changes": changed,
    }
