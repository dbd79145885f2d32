"""Prices and quantities between text and fixed point: `i64` at 1e-9, exactly, both ways.

Called wherever a number enters or leaves the desk: configuration, commands, reports, strategies.
What must stay true: no float ever passes, nothing is rounded, and `to_fixed(to_text(n)) == n`.
Standard library and the generated layout alone.
"""

from __future__ import annotations

import operator
import re
from decimal import Decimal
from typing import Any

from pyoms.errors import NumberError
from pyoms_core.layout import ONE

FIXED_MAX = 2**63 - 1
"""Largest magnitude either way; -2**63 means "no price" in records."""


class Fixed(int):
    """An integer that is fixed point at 1e-9 already: ``Fixed(250_000_000)`` is 0.25."""

    __slots__ = ()


_DECIMAL = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_BOUND = "9223372036.854775807"


def to_fixed(number: str | int | Decimal, what: str = "number") -> int:
    """Turn a decimal text, an int or a finite Decimal into fixed point at 1e-9.

    Parameters
    ----------
    number : str, int or Decimal
        ``"104.25"``, ``-3``; no exponent, no spaces, no separators, at most nine decimals. A
        :class:`Fixed` is taken as it is.
    what : str
        The thing, for the message.

    Returns
    -------
    int
        ``number * 1_000_000_000``, within ±(2**63 - 1).

    Raises
    ------
    NumberError
        For floats (they are not exact), NaN and infinity, a tenth decimal even if it is zero, and
        anything out of range; it names the value and the bound.
    """
    if isinstance(number, Fixed):
        if abs(number) > FIXED_MAX:
            raise NumberError(f"{what} Fixed({int(number)}) is not within ±{FIXED_MAX}")
        return int(number)
    if not isinstance(number, str | Decimal):
        number = _whole(number, what)
    if isinstance(number, Decimal):
        if not number.is_finite() or abs(number.adjusted()) > 40:
            raise NumberError(f"{what} {number} is not a number within ±{_BOUND}")
        number = format(number, "f")
    if isinstance(number, int):
        if number.bit_length() > 128:
            raise NumberError(f"{what} of {number.bit_length()} bits is not within ±{_BOUND}")
        fixed = number * ONE
    else:
        parts = _DECIMAL.fullmatch(number) if len(number) <= 60 else None
        if parts is None:
            raise NumberError(f"{what} {number[:60]!r} is not a decimal number such as 104.25")
        sign, whole, decimals = parts[1], parts[2], parts[3] or ""
        if len(decimals) > 9:
            raise NumberError(
                f"{what} {number} has {len(decimals)} decimals, at most 9 are allowed"
            )
        fixed = int(whole) * ONE + int(decimals.ljust(9, "0"))
        fixed = -fixed if sign == "-" else fixed
    if abs(fixed) > FIXED_MAX:
        raise NumberError(
            f"{what} {str(number)[:60]} is out of range, at most ±{_BOUND} is allowed"
        )
    return fixed


def _whole(number: Any, what: str) -> int:
    """Give an int for anything that is one, numpy's too; NumberError for a bool or a float."""
    try:
        if isinstance(number, bool):
            raise TypeError
        return operator.index(number)
    except TypeError:
        shown, kind = repr(number)[:60], type(number).__name__
        raise NumberError(
            f"{what} {shown} is a {kind}: give a decimal string or an integer"
        ) from None


def to_text(fixed: int) -> str:
    """Turn fixed point at 1e-9 into its shortest text: ``104250000000 -> "104.25"``."""
    whole, decimals = divmod(abs(int(fixed)), ONE)
    tail = f".{decimals:09d}".rstrip("0").rstrip(".")
    return f"{'-' if fixed < 0 else ''}{whole}{tail}"
