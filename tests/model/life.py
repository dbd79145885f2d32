"""One order as a set of facts, in plain integers: the oracle's half of an order's life.

Called by `tests.model.desk`. Written from REQUIREMENTS §2, CORNERS and FIX 4.4 volume 4 appendix D,
and shares nothing with the engine: there is no transition table here. An order holds what is known
of it (fills, what is in flight, how it ended), and OrdStatus(39) is the state of the highest FIX
precedence among those that hold. What must stay true: every sum is worked out from the fills.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.model.money import Booking

PRECEDENCE = (
    "pending_cancel",
    "pending_replace",
    "done_for_day",
    "calculated",
    "filled",
    "stopped",
    "suspended",
    "canceled",
    "expired",
    "partially_filled",
    "new",
    "pending_new",
    "rejected",
)
"""OrdStatus values, the one to report first (FIX 4.4 vol. 4, appendix D)."""
WAIT_FOR_PRICE = ("stop", "stop_limit", "market_if_touched", "limit_if_touched", "trailing_stop")
"""Types of orders that are held here until a price."""


@dataclass(slots=True)
class Fill:
    """One execution as it stands, and as it was first told."""

    qty: int
    px: int
    fee: int
    booking: Booking
    told: tuple[object, ...] = ()
    moment: tuple[int, int] = (0, 0)  # TransactTime(60) and CumQty(14) of its report
    has_id: bool = True
    match_ids: tuple[str, ...] = ()  # TrdMatchID(880), SecondaryExecID(527)
    copied: bool = False  # told by a drop copy first
    matched: bool = False
    busted: bool = False
    piece: Piece | None = None  # what of the order the venue filled


@dataclass(slots=True)
class Piece:
    """What of an order went to its venue under one new order: all of it, or a part."""

    qty: int = 0  # OrderQty(38) of a part
    partial: bool = False
    own_sum: bool = False  # its CumQty(14) is known apart from what was filled before it
    over: bool = False  # proved: nothing of it is at the venue any more


@dataclass(slots=True)
class Change:
    """A cancel or replace on its way to the venue; a cancel has no terms."""

    revision: int
    cl_ord_id: str = ""
    price: int = 0
    qty: int = 0
    moves: bool = False  # by a cancel, and behind its proof a new order
    renames: bool = False  # the venue tells it as the old id canceled and the new one acknowledged
    gone: bool = False  # what the order was is proved to have ended
    sent: bool = True  # what it becomes is on its way

    @property
    def cancel_revision(self) -> int:
        """Revision of the cancel that makes room for it, -1 for none."""
        return self.revision + 1 if self.moves else -1


@dataclass(slots=True)
class Terms:
    """What an order says besides price and quantity, and how far it got by that."""

    ord_type: str = "limit"  # OrdType(40) of the command: the order may leave as another
    stop_px: int = 0  # trailing: as last logged
    trail: int = 0
    best_px: int = 0  # trailing: best price seen; a recovery knows the last logged one
    logged_ns: int = 0
    peg: str = "none"  # what its price follows: bid, ask or mid; within stop_px
    peg_offset: int = 0
    pegged_ns: int = 0  # when it was priced last
    expire_time_ns: int = 0
    expire_day: int = 0
    timer_ns: int = 0  # when the timer next asks for a cancel, 0 for never
    exec_inst: tuple[str, ...] = ()
    contingency: str = "none"
    group_seq: int = 0  # first leg of its group, which names it
    armed: bool = False  # a price may release it
    due: bool = False  # the leg it waited for has traded
    group_asked: bool = False  # its group wanted it canceled
    raced_with: int = 0  # the rival leg that has traded too, until that is told
    flagged: bool = False

    @property
    def waits_for_price(self) -> bool:
        """Stops, if-touched and trailing stops are held here."""
        return self.ord_type in WAIT_FOR_PRICE

    @property
    def trailing(self) -> bool:
        """Whether its stop follows the market."""
        return self.ord_type == "trailing_stop"

    @property
    def source(self) -> str:
        """What releases it: trades, unless it says by quote."""
        return "quote" if "by_quote" in self.exec_inst else "trade"

    @property
    def is_child(self) -> bool:
        """Whether it waits for the first leg of its group."""
        return self.group_seq != 0 and self.contingency in ("oto_first", "oto_full", "bracket")


@dataclass(slots=True)
class Order:
    """An order, held as facts."""

    seq: int
    cl_ord_id: str
    session_id: int
    account_id: int
    instrument_id: int
    venue_id: int
    strategy_id: int
    side: str
    ord_type: str
    time_in_force: str
    price: int
    qty: int
    epoch: int
    effect: str = ""  # PositionEffect(77): "open", "close", or not told
    is_parent: bool = False
    parent_seq: int = 0
    fills: dict[tuple[object, ...], Fill] = field(default_factory=dict)
    known: bool = False  # the venue has shown that it has the order
    ended: str = ""
    end_time_ns: int = 0
    others: dict[tuple[object, ...], tuple[tuple[object, ...], tuple[object, ...]]] = field(
        default_factory=dict
    )  # another id -> the fill it means, and what was told under it
    aside: str = ""  # suspended, stopped or done for the day at the venue
    aside_ns: int = 0  # the venue's time of that, or of the word that renewed it since
    asked_qty: int = 0  # the highest CumQty(14) above ours that the venue is asked about
    asked_word: tuple[str, int] | None = None  # an average not ours, or less than ours: asked about
    last_replace: Change | None = None  # sent last and not refused
    canceling: Change | None = None
    replacing: Change | None = None
    unsure: bool = False
    asked: bool = False  # a mass cancel or a kill wants it canceled, until it has ended
    tries: int = 0  # cancels that the desk has sent since it had a new reason to
    again_ns: int = 0  # the desk's next cancel waits until then, 0 for no wait
    revision: int = 0
    revision_last: int = 0
    terms: Terms | None = None
    lapsed: bool = False  # ended long enough that its ids were forgotten, whatever came later
    held: bool = False  # here, waiting for a price or a leg: never at the venue
    never_left: bool = False  # held to its end
    shown_qty: int = 0  # the most that the desk lets its venue see at a time, 0 for all
    piece: Piece = field(default_factory=Piece)  # what of it is at the venue now, or was last
    pieces: dict[int, Piece] = field(default_factory=dict)  # revision of a message -> what it named
    children: list[Order] = field(default_factory=list)  # of a parent: what they fill, it fills
    ended_before: str = ""  # a parent that fills completed after its end: that end

    @property
    def follows(self) -> bool:
        """Whether it is never larger than what the first leg of its group has filled."""
        first = self.terms is None or self.terms.group_seq in (0, self.seq)
        return not first and self.terms is not None and self.terms.contingency == "oto_first"

    @property
    def vacant(self) -> bool:
        """Whether what it was has ended at the venue and what it becomes has not left."""
        return self.replacing is not None and self.replacing.gone and not self.replacing.sent

    @property
    def is_here(self) -> bool:
        """Whether it ends without a message: a parent, held, or between two of its selves."""
        return self.is_parent or self.held or self.vacant

    @property
    def unproved(self) -> bool:
        """Whether its new self is on its way and the old one has ended."""
        return self.replacing is not None and self.replacing.gone and self.replacing.sent

    @property
    def street_revision(self) -> int:
        """Revision of the message by which its venue knows it."""
        if self.replacing is not None and self.unproved:
            return self.replacing.revision
        return self.revision

    def filled_of(self, piece: Piece) -> int:
        """Add up what of the order was filled under one new order."""
        return sum(f.qty for f in self.fills.values() if f.piece is piece and not f.busted)

    @property
    def part_done(self) -> bool:
        """Whether a part is or was at the venue, and all of it has filled."""
        return self.piece.partial and self.filled_of(self.piece) >= self.piece.qty

    @property
    def cum_qty(self) -> int:
        """CumQty(14); of a parent the sum over its children."""
        own = sum(fill.qty for fill in self.fills.values() if not fill.busted)
        return own + sum(child.cum_qty for child in self.children)

    @property
    def cum_points(self) -> int:
        """Sum of LastQty x LastPx, at 1e-18; of a parent the sum over its children."""
        own = sum(fill.qty * fill.px for fill in self.fills.values() if not fill.busted)
        return own + sum(child.cum_points for child in self.children)

    @property
    def leaves_qty(self) -> int:
        """LeavesQty(151)."""
        return 0 if self.ended else max(self.qty - self.cum_qty, 0)

    @property
    def live(self) -> bool:
        """Whether it may still trade as far as is known."""
        return not self.ended

    @property
    def buys(self) -> bool:
        """Every kind of sell counts to the short side."""
        return self.side == "buy"

    @property
    def status(self) -> str:
        """OrdStatus(39): of all that hold the first by precedence; end and doubt stand alone."""
        if self.ended:
            return self.ended
        if self.held:
            return "held"
        if self.unsure:
            return "unknown"
        holds = {"pending_new"}
        if self.known or self.is_parent:
            holds.add("new")
        if self.cum_qty:
            holds.add("partially_filled")
        if self.aside:
            holds.add(self.aside)
        if self.replacing:
            holds.add("pending_replace")
        if self.canceling:
            holds.add("pending_cancel")
        return next(state for state in PRECEDENCE if state in holds)

    @property
    def owes(self) -> bool:
        """Whether it ended, not by its fills, while the venue counted fills that are missing."""
        return self.ended not in ("", "filled") and self.asked_qty > 0

    def worst(self, rule: str, replacing: Change | None = None) -> tuple[int, int]:
        """Quantity and value that may still fill (DESIGN §7), as if `replacing` were in flight."""
        change = replacing or self.replacing
        if self.ended or self.is_parent:
            owed = max(min(self.asked_qty, self.qty) - self.cum_qty, 0) if self.owes else 0
            return (owed, abs(owed * self.price))
        old_qty = max(self.qty - self.cum_qty, 0)
        old = (old_qty, abs(old_qty * self.price))
        if change is None:
            return old
        new_qty = max(change.qty - self.cum_qty, 0)
        new = (new_qty, abs(new_qty * change.price))
        if change.gone:
            return new
        if change.moves:  # never both: the new one leaves behind the proof of the old one's end
            return (max(old[0], new[0]), max(old[1], new[1]))
        if rule == "in_flight_counted" and not self.unsure:
            return (max(old[0], new[0]), max(old[1], new[1]))
        return (old[0] + new[0], old[1] + new[1])

    def settle(self, time_ns: int) -> None:
        """End the order when its fills say so, and let go of what an end or an answer made void.

        A replace to more keeps it alive while it is in flight: the venue may take it (D8), and
        fills beyond the old quantity are of the new one or an overfill, which its answer tells.
        """
        whole = self.cum_qty >= self.qty and not (self.replacing and self.replacing.qty > self.qty)
        if self.replacing and self.vacant and self.cum_qty >= self.replacing.qty:
            self.take_replace()
            whole = True
        done = self.aside == "done_for_day"  # goes even before filled
        if self.live and not self.is_parent and whole and not done:
            self.end("filled", time_ns)
        if self.live and self.part_done and not self.piece.over and not self.replacing:
            self.end_part(time_ns)
        if self.ended or (self.known and not self.canceling and not self.replacing):
            self.unsure = False

    def end(self, how: str, time_ns: int) -> None:
        """End it; filled comes before canceled and expired, all before rejected (precedence)."""
        if self.live:
            self.end_time_ns = time_ns
        moved = self.replacing is not None and (self.replacing.moves or self.replacing.gone)
        if how in ("canceled", "expired") and moved and self.cum_qty >= self.qty:
            how = "filled"  # what it was had filled, and its new self never was
        self.ended, self.aside, self.aside_ns = how, "", 0
        self.last_replace = None if self.owes else self.last_replace
        self.canceling = self.replacing = None
        self.never_left = self.never_left or self.held
        self.unsure = self.asked = self.held = False
        self.tries = self.again_ns = 0
        if self.terms:
            self.terms.armed = self.terms.due = False
            self.terms.timer_ns = 0

    def reopen(self) -> None:
        """Live again, by a fact that only the venue can make (I8)."""
        self.ended, self.end_time_ns, self.known, self.piece.over = "", 0, True, False
        if self.terms:
            self.terms.timer_ns = self.terms.expire_time_ns

    def renew(self, time_ns: int) -> None:
        """Work on, if it was set aside, by a word of that time of the venue."""
        if self.aside:
            self.aside, self.aside_ns = "", time_ns

    def vacate(self) -> None:
        """Let the proof of what it was stand: what it becomes may go, or is there already."""
        assert self.replacing is not None
        self.piece.over, self.replacing.gone, self.known = self.replacing.moves, True, True
        self.renew(0)
        if self.replacing.moves:
            self.unsure = False  # what may go now has not gone yet
        if self.cum_qty >= self.replacing.qty:
            self.take_replace()
        elif self.replacing.sent:
            self.arrive(Piece())

    def show(self, qty: int) -> None:
        """Let no more than that be at the venue, 0 for all."""
        self.piece.qty, self.piece.partial = qty, 0 < qty < self.qty

    def end_part(self, time_ns: int) -> None:
        """Let the next part go, as the new self of a replace that changes nothing would."""
        self.piece.over = self.known = True
        self.renew(0)
        if self.canceling or self.asked:  # nothing goes out any more
            self.end("canceled", time_ns)
            return
        next_one = self.revision_last + 1
        self.replacing = Change(next_one, self.cl_ord_id, self.price, self.qty)
        self.replacing.moves, self.replacing.gone, self.replacing.sent = True, True, False
        self.revision_last += 2  # the second would be the cancel's
        self.unsure = False

    def arrive(self, piece: Piece) -> None:
        """Let what the order becomes be what its venue speaks of."""
        assert self.replacing is not None
        self.piece.over, self.replacing.sent = self.replacing.moves, True
        self.piece = self.pieces[self.replacing.revision] = piece

    @property
    def beyond(self) -> bool:
        """Whether only the replace in flight allows what has filled."""
        return bool(self.live and self.replacing) and self.cum_qty > self.qty

    def proves_replace(self, revision: int) -> bool:
        """Whether the venue names the order by the id of the replace in flight."""
        change = self.replacing
        return change is not None and change.sent and change.revision == revision

    def bound_by(self, revision: int) -> bool:
        """Whether an ack under an id is that of the new self of a replace."""
        change = self.replacing
        return (
            change is not None and (change.gone or change.renames) and self.proves_replace(revision)
        )

    def gave_up(self, revision: int) -> bool:
        """Whether a word speaks of a replace that was refused, or not found when in doubt."""
        return self.live and self.replacing is None and revision > self.revision

    def refuse_replace(self) -> None:
        """Forget the replace in flight: it is not accepted any more."""
        self.replacing = self.last_replace = None

    def take_replace(self) -> None:
        """Let the new terms hold; the new id is the order's from now on (FIX 4.1 appendix D).

        A quantity below what is filled is amended to it (FIX 4.4 vol. 4, C.3.c).
        """
        change = self.replacing or self.last_replace
        assert change is not None
        if change.renames and not change.gone:
            self.arrive(Piece())
        self.price, self.qty = change.price, max(change.qty, self.cum_qty)
        self.cl_ord_id = change.cl_ord_id
        self.revision, self.replacing, self.known = change.revision, None, True
