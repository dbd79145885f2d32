"""Executions told in versions: the oracle's half of ExecID(17)s that end in `.01`, `.02` and so on.

Called by `tests.model.desk`. Written from CORNERS 25 and the meaning of `exec_id_versions` of a
venue: an id that differs from another in the two digits behind its last dot alone is another
version of the same execution. A later one corrects what is known, an earlier one is out of date.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.model.life import Order

if TYPE_CHECKING:
    from tests.model.desk import Desk

Event = dict[str, Any]
Known = tuple[int, bool, int, str, tuple[object, ...]]
"""Version, whether of its own day, how new the fill is, the id and the fill's key."""


def split(exec_id: str) -> tuple[str, int]:
    """Give the execution that an id names, and which version of it: -1 for none told."""
    found = re.fullmatch(r"(.+)\.([0-9]{2})", exec_id)
    return (found[1], int(found[2])) if found else (exec_id, -1)


def tells(desk: Desk, order: Order, r: Event) -> bool:
    """Whether the venue of an order tells versions, and this report one."""
    return desk.venues[order.venue_id].versions and bool(r["exec_id"])


def known(desk: Desk, order: Order, r: Event) -> list[Known]:
    """Find what is known of the execution that a report speaks of, by other versions."""
    stem, own = split(r["exec_id"])
    day = desk.fill_key(order, r)[1]
    ages = {key: age for age, key in enumerate(order.fills)}
    keys = [(key, key) for key in order.fills]
    keys += [(key, of) for key, (of, _) in order.others.items()]
    found = []
    for key, of in keys:
        whose, version = split(key[2]) if isinstance(key[2], str) else ("", -1)
        if whose == stem and version != own:
            found.append((version, key[1] == day, ages[of], str(key[2]), of))
    return found


def earlier(desk: Desk, order: Order, r: Event) -> Known | None:
    """Find the newest version before a report's own."""
    own = split(r["exec_id"])[1]
    return max((one for one in known(desk, order, r) if one[0] < own), default=None)


def superseded(desk: Desk, order: Order, r: Event) -> bool:
    """Whether a later version is known, of that day or of the same fill."""
    if not tells(desk, order, r):
        return False
    own, before = split(r["exec_id"])[1], earlier(desk, order, r)
    later = [one for one in known(desk, order, r) if one[0] > own]
    return any(one[1] or (before and one[4] == before[4]) for one in later)


def corrected(desk: Desk, r: Event) -> Event:
    """Give a report as what it is: a trade under a later version is a correction."""
    order = desk.whose(r)
    trade = r["exec_type"] == "trade"
    if order is None or not tells(desk, order, r):
        return r
    before, told = earlier(desk, order, r), desk.told_under(order, desk.fill_key(order, r))
    if trade and told is None:
        corrects = not superseded(desk, order, r)
    elif trade:
        corrects = told == ("amends", r["last_px"], r["last_qty"])
    else:
        amends = r["exec_type"] in ("trade_cancel", "trade_correct")
        corrects = amends and told is None and not r.get("exec_ref_id")
    if before is None or not corrects:
        return r
    exec_type = "trade_correct" if trade else r["exec_type"]
    return r | {"exec_type": exec_type, "exec_ref_id": before[3]}
