"""Positions at average cost in whole numbers: the oracle's half of DESIGN §2.

Called by `tests.model.desk`. Quantities and prices are integers at 1e-9, values at 1e-18 and
without the contract multiplier. A position is the fold of its fills in the order they were booked;
a bust or a correction folds what remains once more. What must stay true: realised + unrealised is
the cash flow plus the mark, to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass

LEGS = ("net", "long", "short")
"""The books a position may have: one, or two legs that do not offset each other."""


@dataclass(slots=True)
class Booking:
    """One fill or adjustment of a position; a negative quantity sells."""

    qty: int
    px: int
    fee: int = 0
    is_fill: bool = True
    leg: str = "net"  # the book it is in: a hedging account keeps "long" and "short" apart


@dataclass(frozen=True, slots=True)
class Split:
    """A fill through zero as its close and its open, which add up to it."""

    close_qty: int
    open_qty: int
    close_fee: int
    open_fee: int
    realised_points: int


@dataclass(slots=True)
class Position:
    """What a list of bookings comes to."""

    net_qty: int = 0
    open_points: int = 0
    cash_points: int = 0
    fees: int = 0
    bought_qty: int = 0
    sold_qty: int = 0

    @property
    def realised_points(self) -> int:
        """Realised before fees."""
        return self.cash_points + self.open_points

    def unrealised_points(self, mark_px: int) -> int:
        """Unrealised at a mark."""
        return mark_px * self.net_qty - self.open_points

    def split(self, booking: Booking) -> Split | None:
        """Tell a fill that closes all that is open and opens the other way; None for any other."""
        after = self.net_qty + booking.qty
        if self.net_qty * after >= 0:
            return None
        closed, opened = abs(self.net_qty), abs(after)
        close_fee = booking.fee * closed // (closed + opened)  # rounds down, rebates too
        realised = self.net_qty * booking.px - self.open_points
        return Split(closed, opened, close_fee, booking.fee - close_fee, realised)

    def book(self, booking: Booking) -> None:
        """Book one fill; through zero it closes what was open and opens the rest at its price."""
        qty, px = booking.qty, booking.px
        self.cash_points -= qty * px
        if booking.is_fill:
            self.fees += booking.fee
            self.bought_qty += max(qty, 0)
            self.sold_qty += max(-qty, 0)
        after = self.net_qty + qty
        if self.net_qty * qty >= 0:
            self.open_points += qty * px
        elif self.net_qty * after > 0:
            self.open_points -= self.open_points * abs(qty) // abs(self.net_qty)  # rounds down
        else:
            self.open_points = after * px
        self.net_qty = after


def fold(bookings: list[Booking], leg: str = "net") -> Position:
    """Fold the bookings of one book in their order."""
    position = Position()
    for booking in bookings:
        if booking.leg == leg:
            position.book(booking)
    return position


def total(bookings: list[Booking]) -> Position:
    """Add up all books: what an account holds, whatever its legs."""
    whole = Position()
    for part in (fold(bookings, leg) for leg in LEGS):
        for name in Position.__dataclass_fields__:
            setattr(whole, name, getattr(whole, name) + getattr(part, name))
    return whole
