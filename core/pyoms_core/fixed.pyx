"""Prices and quantities between text and fixed point: `i64` at 1e-9, exactly, both ways.

Called wherever a number enters or leaves: `pyoms.numbers` for Python, the gate by `fixed_of`. What
must stay true: nothing is rounded, `to_fixed(to_text(n)) == n`, and this is the only reader of
decimal text. It needs no Rust and no numpy.
"""
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint64_t

import math
import operator
from decimal import Decimal

from pyoms_core.errors import EngineError, NumberError

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

cdef enum:
    ONE = 1_000_000_000
    DECIMALS_MAX = 9
    TEXT_MAX = 60  # bytes; longer ones are no price, and no work is done on them

cdef int64_t MOST = 9_223_372_036_854_775_807

FIXED_MAX = MOST
"""Largest magnitude either way; -2**63 means "no price" in records."""

cdef str BOUND = "9223372036.854775807"


class Fixed(int):
    """An integer that is fixed point at 1e-9 already: ``Fixed(250_000_000)`` is 0.25."""

    __slots__ = ()


cdef enum Read:
    EXACT = 0
    NO_DECIMAL = 1
    TOO_FINE = 2
    TOO_LARGE = 3


cdef Read read_text(const char* text, Py_ssize_t size, int64_t* out) noexcept nogil:
    """Read ``[+-]digits[.digits]`` of ASCII; what of text, decimals and range is wrong first."""
    cdef uint64_t whole = 0, part = 0
    cdef Py_ssize_t at = 0, digits = 0, decimals = 0
    cdef bint negative = False, large = False
    if size > 0 and (text[0] == c"-" or text[0] == c"+"):
        negative = text[0] == c"-"
        at = 1
    while at < size and c"0" <= text[at] <= c"9":
        large = large or whole > <uint64_t> (MOST // ONE)
        whole = 0 if large else whole * 10 + <uint64_t> (text[at] - c"0")
        digits += 1
        at += 1
    if digits == 0:
        return NO_DECIMAL
    if at < size:
        if text[at] != c"." or at + 1 == size:
            return NO_DECIMAL
        for at in range(at + 1, size):
            if not c"0" <= text[at] <= c"9":
                return NO_DECIMAL
            decimals += 1
            if decimals <= DECIMALS_MAX:
                part = part * 10 + <uint64_t> (text[at] - c"0")
    if decimals > DECIMALS_MAX:
        return TOO_FINE
    for _ in range(DECIMALS_MAX - decimals):
        part *= 10
    if large or whole > <uint64_t> (MOST // ONE) or whole * ONE + part > <uint64_t> MOST:
        return TOO_LARGE
    out[0] = <int64_t> (whole * ONE + part)
    if negative:
        out[0] = -out[0]
    return EXACT


cdef int64_t of_text(str text, object number, str what) except? -1:
    """Read text that stands for `number`, which the message shows."""
    cdef Py_ssize_t size = 0
    cdef const char* letters = NULL
    cdef int64_t value = 0
    cdef Read read = NO_DECIMAL
    if len(text) <= TEXT_MAX and text.isascii():
        letters = PyUnicode_AsUTF8AndSize(text, &size)
        read = read_text(letters, size, &value)
    if read == EXACT:
        return value
    if read == TOO_FINE:
        decimals = len(text) - text.index(".") - 1
        raise NumberError(f"{what} {number} has {decimals} decimals, at most 9 are allowed")
    if read == TOO_LARGE:
        raise NumberError(
            f"{what} {str(number)[:60]} is out of range, at most ±{BOUND} is allowed"
        )
    raise NumberError(f"{what} {text[:60]!r} is not a decimal number such as 104.25")


cdef int64_t of_int(object number, str what) except? -1:
    """Take a whole number of units."""
    cdef int overflow = 0
    cdef int64_t value = PyLong_AsLongLongAndOverflow(number, &overflow)
    if overflow == 0 and -(MOST // ONE) <= value <= MOST // ONE:
        return value * ONE
    if number.bit_length() > 128:
        raise NumberError(f"{what} of {number.bit_length()} bits is not within ±{BOUND}")
    raise NumberError(f"{what} {number} is out of range, at most ±{BOUND} is allowed")


cdef int64_t of_other(object number, str what) except? -1:
    """Take what is neither a plain int nor plain text nor a float."""
    if isinstance(number, Fixed):
        if abs(number) > MOST:
            raise NumberError(f"{what} Fixed({int(number)}) is not within ±{MOST}")
        return int(number)
    if isinstance(number, str):
        return of_text(str(number), number, what)
    if isinstance(number, Decimal):
        if not number.is_finite() or abs(number.adjusted()) > 40:
            raise NumberError(f"{what} {number} is not a number within ±{BOUND}")
        return of_text(format(number, "f"), number, what)
    try:
        if isinstance(number, bool):
            raise TypeError
        whole = operator.index(number)
    except TypeError:
        shown, kind = repr(number)[:60], type(number).__name__
        raise NumberError(
            f"{what} {shown} is a {kind}: give a decimal string or an integer"
        ) from None
    return of_int(whole, what)


cdef int64_t fixed_of(object number, str what) except? -1:
    if type(number) is int:
        return of_int(number, what)
    if type(number) is str:
        return of_text(number, number, what)
    if isinstance(number, float):
        if not math.isfinite(number):
            raise NumberError(f"{what} {number} is not a number within ±{BOUND}")
        text = repr(float(number))  # numpy's float64 is a float with a repr of its own
        return of_other(Decimal(text), what) if "e" in text else of_text(text, number, what)
    return of_other(number, what)


def fixed(number, str what="number"):
    """Turn a number into fixed point; a float only if its shortest text is exact at 1e-9."""
    return fixed_of(number, what)


def to_fixed(number, str what="number"):
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
    return of_other(number, what) if isinstance(number, float) else fixed_of(number, what)


def to_text(fixed):
    """Turn fixed point at 1e-9 into its shortest text: ``104250000000 -> "104.25"``."""
    whole, decimals = divmod(abs(int(fixed)), ONE)
    tail = f".{decimals:09d}".rstrip("0").rstrip(".")
    return f"{'-' if fixed < 0 else ''}{whole}{tail}"


def whole(number, str what, low=0, high=FIXED_MAX):
    """Turn a whole number, numpy's too, into an int within bounds; no bool, float or Decimal."""
    try:
        if isinstance(number, bool):
            raise TypeError
        value = operator.index(number)
    except TypeError:
        kind = type(number).__name__
        raise EngineError(f"{what} {repr(number)[:60]} is a {kind}: give a whole number") from None
    if not low <= value <= high:
        told = str(value) if value.bit_length() <= 128 else f"of {value.bit_length()} bits"
        raise EngineError(f"{what} {told} is not within {low} to {high}")
    return value
