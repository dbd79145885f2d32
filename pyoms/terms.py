"""Order terms for people: stops, expiry, icebergs, groups as names and decimals, one record out.

Called by the verbs (`pyoms.engine`) and by the ports of strategies (`pyoms.strategy`). What must
stay true: a term that its field cannot hold is refused here, with field, value, bound and what to
give instead; whether a term is allowed is the gate's to say, as a verdict.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, TypedDict

from pyoms.errors import EngineError
from pyoms.numbers import Number, fixed, whole
from pyoms.records import I64_MAX, U16_MAX, U64_MAX, fixed_from, record
from pyoms_core import layout
from pyoms_core.gate import code_of

EXEC_INST: dict[str, int] = {
    "post_only": layout.EXEC_POST_ONLY,
    "reduce_only": layout.EXEC_REDUCE_ONLY,
    "by_quote": layout.EXEC_BY_QUOTE,
    "iceberg_here": layout.EXEC_ICEBERG_HERE,
}
"""ExecInst(18) by name; ``by_quote`` triggers on best bid and offer instead of trades."""

UNPRICED = ("market", "stop", "market_if_touched", "trailing_stop")
"""Order types that carry no limit price; a replace of one carries none either."""

PPM_MAX = 999_999
"""Widest trail in parts per million: a stop a whole price away protects nothing."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_DAY = _EPOCH.date()


class OrderTerms(TypedDict, total=False):
    """What an order may carry beside side, quantity and price; all are optional keywords.

    Attributes
    ----------
    stop_px : decimal
        StopPx(99): what triggers ``stop``, ``stop_limit`` and the two ``_if_touched``.
    trail : decimal
        Distance of a trailing stop from the best price seen, as a price.
    trail_ppm : int
        The same in parts per million of that price: 5_000 is half a per cent.
    expire_time : datetime with a zone, or int of UTC ns
        ExpireTime(126) of a ``gtd`` order: the desk's timer sends a cancel then.
    expire_date : date or "YYYY-MM-DD"
        ExpireDate(432) of a ``gtd`` order: the last trading day, as the market counts days.
    max_floor : decimal
        MaxFloor(111): what an iceberg shows.
    exec_inst : str, or several
        Names of :data:`EXEC_INST`.
    peg : str
        ``bid``, ``ask`` or ``mid``: what a ``pegged`` order follows.
    peg_offset : decimal
        PegOffsetValue(211), below the peg when negative.
    contingency : str
        ``oco``, ``oto_first``, ``oto_full`` or ``bracket``: how it hangs on its group.
    group : int
        Our number of the group's first leg; without it the order is the first leg.
    """

    stop_px: Number | None
    trail: Number | None
    trail_ppm: int | None
    expire_time: dt.datetime | int | None
    expire_date: dt.date | str | None
    max_floor: Number | None
    exec_inst: str | Iterable[str] | None
    peg: str | None
    peg_offset: Number | None
    contingency: str | None
    group: int | None


def ord_type_of(price: Number | None, terms: OrderTerms) -> str:
    """Say which OrdType(40) these terms make, where the caller names none."""
    if terms.get("trail") is not None or terms.get("trail_ppm") is not None:
        return "trailing_stop"
    if terms.get("peg") is not None:
        return "pegged"
    if terms.get("stop_px") is not None:
        return "stop" if price is None else "stop_limit"
    return "market" if price is None else "limit"


def given(terms: OrderTerms) -> bool:
    """Whether any term was given."""
    return any(value is not None for value in terms.values())


def offer_of(terms: OrderTerms) -> bytes:
    """Make the ``order_terms`` record of the terms given; EngineError names what does not fit."""
    unknown = [name for name in terms if name not in OrderTerms.__annotations__]
    if unknown:
        allowed = ", ".join(OrderTerms.__annotations__)
        raise EngineError(f"{unknown[0]} is no term of an order: allowed are {allowed}")
    exec_inst = exec_inst_of(terms.get("exec_inst"))
    trail, by_ppm = _trail(terms)
    expire_time_ns, expire_day = _expiry(terms)
    peg, offset = terms.get("peg"), terms.get("peg_offset")
    if peg is None and offset is not None:
        raise EngineError(f"peg_offset {offset} without a peg: give peg, one of bid, ask, mid")
    floor, group = terms.get("max_floor"), terms.get("group")
    return record(
        "order_terms",
        stop_px=_optional(terms.get("stop_px"), "stop_px"),
        max_floor=0 if floor is None else fixed_from(floor, "max_floor", 1),
        expire_time_ns=expire_time_ns,
        expire_day=expire_day,
        trail=trail,
        exec_inst=exec_inst | layout.EXEC_TRAIL_PPM * by_ppm,
        peg_type=0 if peg is None else code_of("peg_type", peg),
        peg_offset=_optional(offset, "peg_offset"),
        contingency=code_of("contingency", terms.get("contingency") or "none"),
        group_seq=0 if group is None else whole(group, "group", 1, U64_MAX),
    )


def _optional(number: Number | None, what: str) -> int:
    return 0 if number is None else fixed(number, what)


def exec_inst_of(names: Any) -> int:
    """Give the bits of the names, of which there may be none, one as it is, or several."""
    bits = 0
    if names is not None and not isinstance(names, Iterable):
        kind = type(names).__name__
        raise EngineError(f"exec_inst {names!r} is a {kind}: give a name or several")
    for name in [names] if isinstance(names, str) else names or ():
        bit = EXEC_INST.get(name) if isinstance(name, str) else None
        if bit is None:
            raise EngineError(f"exec_inst {name!r} is not one of {', '.join(EXEC_INST)}")
        bits |= bit
    return bits


def _trail(terms: OrderTerms) -> tuple[int, bool]:
    trail, ppm = terms.get("trail"), terms.get("trail_ppm")
    if trail is not None and ppm is not None:
        raise EngineError(f"trail {trail} and trail_ppm {ppm}: give one of them")
    if ppm is not None:
        return whole(ppm, "trail_ppm", 1, PPM_MAX), True
    return (0 if trail is None else fixed_from(trail, "trail", 1)), False


def _expiry(terms: OrderTerms) -> tuple[int, int]:
    time, day = terms.get("expire_time"), terms.get("expire_date")
    if time is not None and day is not None:
        raise EngineError(f"expire_time {time} and expire_date {day}: give one of them")
    return (
        0 if time is None else expire_ns(time),
        0 if day is None else expire_day(day),
    )


def expire_ns(time: Any) -> int:
    """Give UTC ns of an ExpireTime(126); a time of day without a zone is nobody's."""
    if not isinstance(time, dt.datetime):
        return whole(time, "expire_time", 1, I64_MAX)
    if time.tzinfo is None:
        raise EngineError(
            f"expire_time {time.isoformat()} has no zone: give one, as "
            "datetime(..., tzinfo=ZoneInfo('America/Chicago')) or tzinfo=UTC"
        )
    ns = (time - _EPOCH) // dt.timedelta(microseconds=1) * 1_000
    if not 1 <= ns <= I64_MAX:
        raise EngineError(f"expire_time {time.isoformat()} is not within 1970 to 2262")
    return ns


def expire_day(day: Any, what: str = "expire_date") -> int:
    """Give the days since 1970-01-01 of a date, an ExpireDate(432) say."""
    if isinstance(day, str):
        try:
            day = dt.date.fromisoformat(day)
        except ValueError:
            raise EngineError(f"{what} {day[:40]!r} is no date: write YYYY-MM-DD") from None
    if not isinstance(day, dt.date) or isinstance(day, dt.datetime):
        kind = type(day).__name__
        raise EngineError(f"{what} {repr(day)[:60]} is a {kind}: give a date or YYYY-MM-DD")
    days = (day - _EPOCH_DAY).days
    last = _EPOCH_DAY + dt.timedelta(days=U16_MAX)
    if not 1 <= days <= U16_MAX:
        raise EngineError(f"{what} {day} is not within 1970-01-02 to {last}")
    return days
