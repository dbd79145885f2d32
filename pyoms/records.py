"""Records from names and values: the 128 bytes of a command or a fact, nothing cut or guessed.

Called by the verbs, by the ports of strategies and by clients of a running desk. What must stay
true: a field that cannot hold a value whole refuses it, with the field, the value and the bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyoms.errors import EngineError, NumberError
from pyoms.numbers import Number, fixed, to_text, whole
from pyoms_core import layout
from pyoms_core.gate import client_id
from pyoms_core.layout import KINDS

U16_MAX, U32_MAX, U64_MAX = 2**16 - 1, 2**32 - 1, 2**64 - 1
"""Bounds of a record's unsigned fields."""

I64_MAX = 2**63 - 1
"""Bound of a record's signed field."""


def fixed_from(number: Number, what: str, low: int = 0) -> int:
    """Turn a number into fixed point that is not below `low`; NumberError names the bound."""
    value = fixed(number, what)
    if value < low:
        bound = "above 0" if low == 1 else f"at least {to_text(low)}"
        raise NumberError(f"{what} {to_text(value)} must be {bound}")
    return value


def record(kind: str, **fields: Any) -> bytes:
    """Make the 128 bytes of a record from its fields; texts may be str, nothing is cut."""
    if kind not in KINDS:
        raise EngineError(f"kind {kind!r} is not one of {', '.join(KINDS)}")
    dtype = layout.dtype(kind)
    row = np.zeros(1, dtype=dtype)
    row["kind"] = KINDS[kind]
    for field, value in fields.items():
        if field not in (dtype.names or ()):
            raise EngineError(f"{kind} has no field {field!r}")
        row[field] = field_value(dtype[field], field, value)
    return row.tobytes()


def field_value(dtype: np.dtype[Any], field: str, value: Any) -> Any:
    """Check that a record's field holds a value whole; EngineError names field, value, bound."""
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return whole(value, field, int(bounds.min), int(bounds.max))
    if field == "cl_ord_id":
        return client_id(value)
    if dtype.kind != "S":
        return value
    if not isinstance(value, str | bytes):
        raise EngineError(f"{field} {repr(value)[:60]} is a {type(value).__name__}: give a str")
    text = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    if not text.isascii() or b"\0" in text:
        raise EngineError(f"{field} {value[:60]!r} is not ASCII text without zeros")
    if len(text) > dtype.itemsize:
        raise EngineError(
            f"{field} {value[:60]!r} has {len(text)} bytes: at most {dtype.itemsize} are allowed"
        )
    return text
