"""When venues open, change phase and close: a schedule in local time becomes input events in UTC.

`events` is pure and called by `Feeder`, which `pyoms run` and lock-step sessions drive with their
own time. What must stay true: the events of a span are those of its parts, one after another;
within a venue days and phases come in their order whatever the clocks do; what the log holds is
never fed again. The schedule says when a day should end, not that its orders are gone: its
``day_closed`` is never proved.

Local time follows the venue's zone. A time that the clocks jump over in spring is taken at the
moment of the jump; of an hour that comes twice in autumn the first one is taken.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

from pyoms_core.layout import CODES

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Days of the week as a schedule names them, Monday first as in ISO 8601."""

PHASE_KEYS: dict[str, str] = {
    "pre_open": "pre_open",
    "auction": "auction",
    "open": "open",
    "closing_auction": "auction",
    "close": "closed",
}
"""Key of a session -> market phase that begins then, in the order they may stand."""

DAY_S = 86_400
"""Seconds of a day on the wall clock."""

_UTC = dt.UTC
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=_UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session of a trading day: (seconds from its midnight, phase) in order.

    Seconds are negative on the day before. The first begins the session, the last closes it.
    """

    phases: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """``[venue.schedule]``: sessions of every trading day, and the days without or with less."""

    zone: str
    sessions: tuple[Session, ...]
    day_roll_min: int
    weekdays: tuple[int, ...]
    holidays: frozenset[dt.date]
    early_closes: Mapping[dt.date, int]

    @property
    def info(self) -> ZoneInfo:
        """The zone itself; the library keeps it."""
        return ZoneInfo(self.zone)

    def is_trading_day(self, day: dt.date) -> bool:
        """Whether the market has this trading day."""
        return day.weekday() in self.weekdays and day not in self.holidays

    def phases(self, day: dt.date) -> list[tuple[int, str]]:
        """Give the phases of a trading day in order, cut at its early close."""
        whole = [phase for session in self.sessions for phase in session.phases]
        early = self.early_closes.get(day)
        if early is None:
            return whole
        return [(at, phase) for at, phase in whole if at < early] + [(early, "closed")]

    def offset_min(self, time_ns: int) -> int:
        """Give the zone's minutes east of UTC at a moment."""
        return _offset_s(self.info, time_ns // 1_000_000_000) // 60


@dataclass(frozen=True, slots=True)
class ScheduleEvent:
    """One input event of a venue: its clocks change, a day opens or closes, a phase begins."""

    time_ns: int
    venue: str
    what: str
    """``clock``, ``day_opened``, ``phase`` or ``day_closed``."""
    trade_day: dt.date
    """The trading day; of ``clock`` the local date."""
    phase: str = ""
    utc_offset_min: int = 0

    @property
    def day(self) -> int:
        """The trading day as days since 1970-01-01, as records hold it."""
        return (self.trade_day - _EPOCH.date()).days

    @property
    def phase_code(self) -> int:
        """Code of the phase."""
        return CODES["phase"][self.phase].code


def _offset_s(zone: ZoneInfo, time_s: int) -> int:
    moment = _EPOCH + dt.timedelta(seconds=time_s)
    offset = moment.astimezone(zone).utcoffset() or dt.timedelta()
    return offset.days * DAY_S + offset.seconds


def utc_s(zone: ZoneInfo, day: dt.date, at: int) -> int:
    """Give UTC seconds of `at` wall-clock seconds from a local midnight.

    In a spring gap: the moment of the jump. In an autumn fold: the first of the two.
    """
    wall = dt.datetime(day.year, day.month, day.day) + dt.timedelta(seconds=at)
    first = int((wall.replace(tzinfo=zone).astimezone(_UTC) - _EPOCH).total_seconds())
    if (_EPOCH + dt.timedelta(seconds=first)).astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # No such time on this day. Read by the clock of before it lies past the jump, by less than it.
    return _change_within(zone, first - DAY_S, first)


def _change_within(zone: ZoneInfo, low: int, high: int) -> int:
    """Find the last second in (low, high] at which the zone's offset has just changed."""
    after = _offset_s(zone, high)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_s(zone, middle) == after:
            high = middle
        else:
            low = middle
    return high


def clock_changes(zone: ZoneInfo, from_s: int, to_s: int) -> Iterator[int]:
    """Yield the UTC seconds in (from_s, to_s] at which the zone's offset changes."""
    low = from_s
    while low < to_s:
        high = min(low + DAY_S, to_s)  # no zone changes twice in a day
        if _offset_s(zone, low) != _offset_s(zone, high):
            yield _change_within(zone, low, high)
        low = high


def events(venue: str, schedule: Schedule, from_ns: int, to_ns: int) -> list[ScheduleEvent]:
    """Give a venue's events after `from_ns` up to and with `to_ns`, in order.

    Where times meet: a change of clocks first, then the day before ends and the next one opens.
    """
    if to_ns <= from_ns:
        return []
    from_s, to_s = from_ns // 1_000_000_000, to_ns // 1_000_000_000
    found = []
    for change in clock_changes(schedule.info, from_s, to_s):
        local = (_EPOCH + dt.timedelta(seconds=change)).astimezone(schedule.info).date()
        offset = _offset_s(schedule.info, change) // 60
        found.append(
            ScheduleEvent(change * 1_000_000_000, venue, "clock", local, utc_offset_min=offset)
        )
    # A trading day lies within two local days, and no zone is a day or more away from UTC.
    day = (_EPOCH + dt.timedelta(seconds=from_s)).date() - dt.timedelta(days=2)
    last = (_EPOCH + dt.timedelta(seconds=to_s)).date() + dt.timedelta(days=2)
    while day <= last:
        found.extend(day_events(venue, schedule, day))
        day += dt.timedelta(days=1)
    found.sort(key=lambda event: event.time_ns)  # stable: what meets keeps the order above
    return [event for event in found if from_ns < event.time_ns <= to_ns]


def day_events(venue: str, schedule: Schedule, day: dt.date) -> list[ScheduleEvent]:
    """Give the events of one trading day, none for a day without trading."""
    if not schedule.is_trading_day(day):
        return []
    found = [
        ScheduleEvent(utc_s(schedule.info, day, at) * 1_000_000_000, venue, "phase", day, phase)
        for at, phase in schedule.phases(day)
    ]
    opened = ScheduleEvent(found[0].time_ns, venue, "day_opened", day)
    closed = ScheduleEvent(found[-1].time_ns, venue, "day_closed", day)
    return [opened, *found, closed]


def present(venue: str, schedule: Schedule, now_ns: int) -> list[ScheduleEvent]:
    """Give the events that a log which has none yet needs: the present day and phase."""
    # A market without a trading day for a month has none that matters.
    recent = events(venue, schedule, now_ns - 31 * DAY_S * 1_000_000_000, now_ns)
    days = [event for event in recent if event.what in ("day_opened", "day_closed")]
    phases = [event for event in recent if event.what == "phase"]
    last = (*days[-1:], *phases[-1:])
    return [event for event in recent if event in last]


def problem(schedule: Schedule) -> str:
    """Say what is wrong with the times of a schedule; empty when nothing is."""
    times = [at for session in schedule.sessions for at, _ in session.phases]
    for earlier, later in pairwise(times):
        if later <= earlier:
            return f"{shown(later)} is not after {shown(earlier)}, which stands before it"
    roll = schedule.day_roll_min * 60
    low, high = (roll - DAY_S, roll) if roll else (0, DAY_S)
    if times[0] < low or times[-1] > high:
        wrong = times[0] if times[0] < low else times[-1]
        return (
            f"{shown(wrong)} is outside the trading day, which lasts from {shown(low)} to "
            f"{shown(high)} by day_roll"
        )
    return ""


def early_problem(schedule: Schedule, day: dt.date) -> str:
    """Say what is wrong with the early close of a day; empty when nothing is."""
    at = schedule.early_closes[day]
    if not schedule.is_trading_day(day):
        return f"{day} is no trading day: it is a holiday or not one of weekdays"
    times = [time for session in schedule.sessions for time, _ in session.phases]
    if not times[0] < at < times[-1]:
        return f"{shown(at)} is not between {shown(times[0])} and {shown(times[-1])}"
    return ""


def shown(at: int) -> str:
    """Write seconds from midnight as a schedule does: ``-1d 17:00``."""
    day, second = divmod(at, DAY_S)
    if at == DAY_S:
        day, second = 0, DAY_S  # the end of the day is its 24:00
    text = f"{second // 3600:02d}:{second // 60 % 60:02d}"
    text += f":{second % 60:02d}" if second % 60 else ""
    return f"{day:+d}d {text}" if day else text


@dataclass(frozen=True, slots=True)
class Held:
    """What a log holds of a venue's days and phases."""

    until_ns: int
    """Scheduled time of the last phase that was fed; 0 for none."""
    keys: frozenset[tuple[str, int, str]]
    """Each as :func:`key_of` names it."""


def key_of(event: ScheduleEvent) -> tuple[str, int, str]:
    """Name an event as the log can: a day by itself, a phase by its time."""
    if event.what == "phase":
        return ("phase", event.time_ns, event.phase)
    return (event.what, event.day, "")


NOTHING_HELD = Held(0, frozenset())
"""Of a venue that the log knows no schedule of."""


def _since_opening(venue: str, schedule: Schedule, held: Held, now_ns: int) -> list[ScheduleEvent]:
    """Give what follows the last day that opened: a feeder may die before its first phase."""
    opened = [day for what, day, _ in held.keys if what == "day_opened"]
    if not opened:
        return []
    day_ns = DAY_S * 1_000_000_000
    due = events(venue, schedule, (max(opened) - 7) * day_ns, now_ns)  # it opens ahead of its date
    last = ("day_opened", max(opened), "")
    return due[next((at for at, e in enumerate(due) if key_of(e) == last), len(due)) :]


class Feeder:
    """Feeds the events of schedules as their time comes; the time is the caller's.

    Parameters
    ----------
    schedules : mapping
        Venue -> its schedule.
    feed : callable
        Takes one event; it stands in the log when this returns, and is tried again when it raises.
    held : mapping
        Venue -> what the log holds; a venue without an entry begins with the present day and
        phase, one with it gets what it missed since, in order.
    """

    AHEAD_NS = 7 * DAY_S * 1_000_000_000
    """How far the coming events are worked out at a time."""

    def __init__(
        self,
        schedules: Mapping[str, Schedule],
        feed: Callable[[ScheduleEvent], None],
        held: Mapping[str, Held],
    ) -> None:
        self.schedules, self.feed, self._held = dict(schedules), feed, dict(held)
        self._coming: deque[ScheduleEvent] = deque()
        self._known_ns: int | None = None

    def run_to(self, now_ns: int) -> int:
        """Feed all that is due at `now_ns`; when to come again, at the latest."""
        if self._known_ns is None:
            missed = [e for name in self.schedules for e in self._missed(name, now_ns)]
            self._coming.extend(sorted(missed, key=lambda event: event.time_ns))
            self._known_ns = now_ns
        while self._known_ns <= now_ns:
            self._known_ns = self._look_ahead(self._known_ns)
        while self._coming and self._coming[0].time_ns <= now_ns:
            self.feed(self._coming[0])
            self._coming.popleft()
        return self._coming[0].time_ns if self._coming else self._known_ns

    def _look_ahead(self, from_ns: int) -> int:
        """Work out what comes next, of all venues in order of time; how far that reaches."""
        to_ns = from_ns + self.AHEAD_NS
        coming = [
            event
            for name, schedule in self.schedules.items()
            for event in events(name, schedule, from_ns, to_ns)
        ]
        self._coming.extend(sorted(coming, key=lambda event: event.time_ns))
        return to_ns

    def _missed(self, venue: str, now_ns: int) -> list[ScheduleEvent]:
        """Give what is due and not in the log; the clocks of before are in the definition."""
        schedule, held = self.schedules[venue], self._held.get(venue, NOTHING_HELD)
        if not held.until_ns:
            due = _since_opening(venue, schedule, held, now_ns) or present(venue, schedule, now_ns)
        else:  # those of the very last time too: not all of them may have got into the log
            due = events(venue, schedule, held.until_ns - 1, now_ns)
        return [e for e in due if e.what != "clock" and key_of(e) not in held.keys]
