"""Orders that are at their venue one self after another: the oracle's half of moves and parts.

Called by `tests.model.desk`. Written from REQUIREMENTS §1-2, DESIGN §7 and CORNERS 19 and 31: where
a venue has no replace a cancel goes out, and behind its proof a new order of what is left; an
iceberg that the desk replenishes, and a leg that is as large as what its first leg has filled, go
out a part at a time in the same way. What has ended is told apart from what is there by the ids of
its messages. What must stay true: at most one self of an order is at its venue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.model import waiting
from tests.model.life import Order

if TYPE_CHECKING:
    from tests.model.desk import Desk

Event = dict[str, Any]
ENDING_REASONS = (
    *("trading_halt", "system_failure", "not_best", "connection_loss", "logout"),
    *("price_violation", "cross_imbalance"),
)
"""ExecRestatementReason(378) of a venue's own cancel."""


def is_over(order: Order, r: Event) -> bool:
    """Whether a word is of a self that is proved to have ended, or of one that never left."""
    if order.canceling and order.canceling.revision == r["street_revision"]:
        return False  # whatever it was sent for: its answer is one to what is there
    piece = order.pieces.get(r["street_revision"])
    if piece is None:  # the new self of a replace whose cancel is on its way, or of none
        change = order.replacing
        return not (change and change.moves and not change.gone)
    return piece is not order.piece or piece.over


def beyond_part(order: Order, r: Event) -> bool:
    """Whether a fill is of more than the part that is at the venue."""
    piece = order.piece
    if is_over(order, r) or not piece.partial:
        return False
    return bool(order.filled_of(piece) + r["last_qty"] > piece.qty)


def told_cum(order: Order, r: Event) -> int:
    """Give CumQty(14) of the order by what the venue counts of what is there of it.

    Of a self before the sum is held against the order's own alone: not every fill that is missing
    shows by that.
    """
    piece = order.pieces.get(r["street_revision"], order.piece)
    if piece is not order.piece or not piece.own_sum:
        return int(r["cum_qty"])
    return int(order.cum_qty - order.filled_of(piece) + r["cum_qty"]) if r["cum_qty"] else 0


def says_over(r: Event) -> bool:
    """Whether a restatement tells no status, and a reason (378) by which a venue cancels."""
    return not r["ord_status"] and r.get("reason") in ENDING_REASONS


def proves_end(order: Order, r: Event) -> bool:
    """Whether a canceled order is what the order was before the replace in flight."""
    change = order.replacing
    said = r["ord_status"] if r["exec_type"] in ("restated", "order_status") else r["exec_type"]
    if r["exec_type"] == "restated" and says_over(r):
        said = "canceled"
    if change is None or change.gone:
        return False
    if said == "filled" and change.moves:  # a query: of that part nothing is left to cancel
        return r["exec_type"] == "order_status" and order.part_done
    if said != "canceled":
        return False
    return bool(change.moves or (change.renames and r["street_revision"] < change.revision))


def moves(desk: Desk, order: Order) -> bool:
    """Whether a replace of an order goes by a cancel and, behind its proof, a new order."""
    in_parts = order.shown_qty > 0 or order.follows
    return in_parts or desk.venues[order.venue_id].replace_rule == "cancel_new"


def was_replaced(order: Order, r: Event) -> bool:
    """Whether a word by the id of a replace in flight tells that the order had become that."""
    change = order.replacing
    if change is None or change.moves or change.gone or r["exec_type"] == "unknown_order":
        return False
    return order.proves_replace(r["street_revision"])


def told_anew(r: Event) -> bool:
    """Whether a report was told before, or may have been: what it says is left may be no more."""
    return bool(r.get("again") or r.get("queried"))


def found_working(order: Order, r: Event) -> bool:
    """Whether the answer finds open what had ended here, and was asked about for that."""
    live = r["ord_status"] in ("new", "partially_filled", "suspended", "stopped", "done_for_day")
    asked = order.asked_word == ("works", 0) and order.ended not in ("", "filled")
    wants = order.qty > order.cum_qty and r["leaves_qty"] > 0
    return r["exec_type"] == "order_status" and live and asked and wants and not r.get("again")


def take_up(order: Order, r: Event, *, moves: bool) -> None:
    """Open what had ended by a part that its venue works again; not wanted any more, cancel it.

    What was before a replace has terms that nobody wants; parts are alike.
    """
    alike = order.shown_qty > 0 or order.follows or r["street_revision"] == order.revision
    filled = order.ended == "filled" and alike
    if moves:
        order.piece = order.pieces.get(r["street_revision"], order.piece)
        order.revision = r["street_revision"]
    order.reopen()
    if order.piece.partial:
        order.piece.qty = order.filled_of(order.piece) + r["leaves_qty"]
    order.asked = not filled


def next_qty(desk: Desk, order: Order, order_qty: int) -> int:
    """Give what of an order of that size may be at its venue next."""
    left = order_qty - order.cum_qty
    if order.shown_qty:
        left = min(left, order.shown_qty)
    first = followed(desk, order)
    return max(min(left, first.cum_qty - order.cum_qty) if first else left, 0)


def followed(desk: Desk, order: Order) -> Order | None:
    """Find the leg that an order is never larger than what it has filled."""
    return desk.orders[order.terms.group_seq] if order.terms and order.follows else None


def move(desk: Desk) -> list[str]:
    """Send the new selves of orders whose old ones have ended, the oldest proof first."""
    kinds: list[str] = []
    for order in [desk.orders[seq] for seq in desk.vacated]:
        change, first = order.replacing, followed(desk, order)
        assert change is not None
        qty = next_qty(desk, order, change.qty)
        waits = desk.recovering or desk.venues[order.venue_id].link != "up"
        waits = waits or order.asked or order.asked_qty > 0
        if waits or (not qty and first is not None and first.live):
            continue
        event: Event = {"kind": "moved", "order_seq": order.seq, "price": change.price}
        event |= {"order_qty": qty, "verdict": "accepted", "outcome": "released"}
        fault = next(waiting.release_faults(desk, order, change.price, qty), "") if qty else "ended"
        kinds.append("moved")
        if fault:
            event |= {"outcome": "ended"} if not qty else {"outcome": "refused", "verdict": fault}
            desk.apply(event)
            continue
        desk.apply(event)
        terms = {"price": 0 if order.ord_type == "market" else change.price, "order_qty": qty}
        desk.apply(desk.message(order, "new_order", change.revision, **terms))
        kinds.append("routed")
    return kinds
