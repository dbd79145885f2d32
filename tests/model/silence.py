"""What a venue does not answer: every message is waited for, and asked about when its time is over.

Called by the desk for each message and each time input. What must stay true: a question proves
nothing; only a cancel of an order that the venue has shown is in doubt from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.model.desk import Desk
    from tests.model.life import Order

SECOND_NS = 10**9
MOST_DOUBLINGS = 6


class Awaited(NamedTuple):
    """A message without an answer, and when it is to be asked about."""

    due_ns: int
    seq: int
    revision: int
    sent_ns: int
    asked: int = 0
    is_old: bool = False  # it had no answer when it was a second old


def sent(desk: Desk, order: Order, revision: int) -> None:
    """Wait for an answer, if the venue has a time to answer in."""
    answer_s = desk.venues[order.venue_id].answer_s
    if answer_s:
        due_ns = desk.now_ns + answer_s * SECOND_NS
        desk.awaited.append(Awaited(due_ns, order.seq, revision, desk.now_ns))


def awaits(order: Order, revision: int) -> bool:
    """Whether the venue has yet to say what became of a message."""
    if not order.live or order.is_here:
        return False
    change = order.replacing
    replacing = change and revision in (change.revision, change.cancel_revision)
    canceling = order.canceling and revision == order.canceling.revision
    never_rests = order.time_in_force in ("ioc", "fok") or order.ord_type == "market"
    return bool(replacing or canceling or never_rests or not order.known)


def ask(desk: Desk) -> list[str]:
    """Ask about what was not answered in time; kinds of the events."""
    for awaited in list(desk.awaited):
        if not awaited.is_old and awaited.sent_ns + SECOND_NS <= desk.now_ns:
            desk.awaited.remove(awaited)
            if awaits(desk.orders[awaited.seq], awaited.revision):
                desk.awaited.append(awaited._replace(is_old=True))
    kinds: list[str] = []
    while due := [a for a in desk.awaited if a.due_ns <= desk.now_ns]:
        awaited = min(due)
        desk.awaited.remove(awaited)
        order = desk.orders[awaited.seq]
        venue = desk.venues[order.venue_id]
        if venue.link != "up" or desk.recovering or not awaits(order, awaited.revision):
            continue
        if order.canceling and not order.replacing and order.known and not order.unsure:
            desk.apply({"kind": "outcome_unknown", "order_seq": order.seq})
            kinds.append("outcome_unknown")
        desk.apply(desk.message(order, "order_status", order.street_revision))
        kinds.append("routed")
        times = min(awaited.asked + 1, MOST_DOUBLINGS)
        wait_ns = venue.answer_s * SECOND_NS << times
        desk.awaited.append(awaited._replace(due_ns=desk.now_ns + wait_ns, asked=times))
    return kinds
