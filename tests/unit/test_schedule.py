"""Schedules: local times become UTC events, also where the clocks change; nothing is fed twice."""

import datetime as dt
from itertools import pairwise
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyoms.schedule import (
    DAY_S,
    Feeder,
    Held,
    Schedule,
    ScheduleEvent,
    Session,
    clock_changes,
    events,
    key_of,
    problem,
    shown,
    utc_s,
)

NS = 1_000_000_000
HOUR = 3_600


def ns(text):
    """UTC ns of an ISO time."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * NS


def made(zone="America/New_York", phases=((9.5, "open"), (16, "closed")), **more):
    whole = {
        "zone": zone,
        "sessions": (Session(phases=tuple((int(at * HOUR), phase) for at, phase in phases)),),
        "day_roll_min": 0,
        "weekdays": (0, 1, 2, 3, 4),
        "holidays": frozenset(),
        "early_closes": MappingProxyType({}),
    }
    return Schedule(**(whole | more))


def told(found):
    """Events as a reader sees them."""
    return [
        (
            dt.datetime.fromtimestamp(e.time_ns // NS, dt.UTC).strftime("%m-%d %H:%M"),
            e.what if e.what != "phase" else e.phase,
        )
        for e in found
    ]


GLOBEX = made(
    "America/Chicago",
    phases=((-7.25, "pre_open"), (-7, "open"), (16, "closed")),
    day_roll_min=17 * 60 - 15,
)


def test_a_globex_day_begins_on_the_evening_before_and_sunday_opens_monday():
    week = events("CME", GLOBEX, ns("2026-11-20T12:00"), ns("2026-11-24T12:00"))
    assert told(week) == [
        ("11-20 22:00", "closed"),
        ("11-20 22:00", "day_closed"),
        ("11-22 22:45", "day_opened"),
        ("11-22 22:45", "pre_open"),
        ("11-22 23:00", "open"),
        ("11-23 22:00", "closed"),
        ("11-23 22:00", "day_closed"),
        ("11-23 22:45", "day_opened"),
        ("11-23 22:45", "pre_open"),
        ("11-23 23:00", "open"),
    ]
    assert [str(e.trade_day) for e in week[2:7]] == ["2026-11-23"] * 5


# zone               clocks change (UTC)   offset after   open that day (UTC)   close, in UTC
CHANGES = [
    ("America/New_York", "2026-03-08T07:00", -240, ("2026-03-09T13:30", "2026-03-09T20:00")),
    ("America/New_York", "2026-11-01T06:00", -300, ("2026-11-02T14:30", "2026-11-02T21:00")),
    ("America/Chicago", "2026-03-08T08:00", -300, ("2026-03-09T14:30", "2026-03-09T21:00")),
    ("America/Chicago", "2026-11-01T07:00", -360, ("2026-11-02T15:30", "2026-11-02T22:00")),
    ("Europe/London", "2026-03-29T01:00", 60, ("2026-03-30T08:30", "2026-03-30T15:00")),
    ("Europe/London", "2026-10-25T01:00", 0, ("2026-10-26T09:30", "2026-10-26T16:00")),
    ("Australia/Sydney", "2026-10-03T16:00", 660, ("2026-10-04T22:30", "2026-10-05T05:00")),
    ("Australia/Sydney", "2026-04-04T16:00", 600, ("2026-04-05T23:30", "2026-04-06T06:00")),
]


@pytest.mark.parametrize(("zone", "change", "offset", "day"), CHANGES)
def test_the_clocks_change_by_an_event_and_the_next_day_opens_by_the_new_ones(
    zone, change, offset, day
):
    """CORNERS 27: timezone and DST edge."""
    at = ns(change)
    found = events("V", made(zone), at - DAY_S * NS, at + 3 * DAY_S * NS)
    (clock,) = [e for e in found if e.what == "clock"]
    assert (clock.time_ns, clock.utc_offset_min) == (at, offset)
    after = [e for e in found if e.time_ns > at and e.what == "phase"]
    assert [e.time_ns for e in after[:2]] == [ns(time) for time in day]


def test_a_zone_without_changes_has_no_clock_events():
    year = events("V", made("Asia/Tokyo"), ns("2026-01-01"), ns("2027-01-01"))
    assert [e for e in year if e.what == "clock"] == []
    assert {e.time_ns // NS % DAY_S for e in year} == {30 * 60, 7 * HOUR}  # 9:30 and 16:00 at UTC+9


# zone               day          wall    UTC                     why
WALLS = [
    ("America/New_York", "2026-03-08", "01:59", "2026-03-08T06:59", "before the gap"),
    ("America/New_York", "2026-03-08", "02:00", "2026-03-08T07:00", "the gap begins: the jump"),
    ("America/New_York", "2026-03-08", "02:30", "2026-03-08T07:00", "in the gap: the jump"),
    ("America/New_York", "2026-03-08", "03:00", "2026-03-08T07:00", "after it"),
    ("America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30", "twice: the first"),
    ("America/New_York", "2026-11-01", "02:00", "2026-11-01T07:00", "after the second"),
    ("Europe/London", "2026-03-29", "01:30", "2026-03-29T01:00", "in the gap: the jump"),
    ("Europe/London", "2026-10-25", "01:30", "2026-10-25T00:30", "twice: the first"),
    ("Australia/Sydney", "2026-10-04", "02:30", "2026-10-03T16:00", "in the gap: the jump"),
    ("Australia/Sydney", "2026-04-05", "02:30", "2026-04-04T15:30", "twice: the first"),
    ("America/Chicago", "2026-03-08", "02:15", "2026-03-08T08:00", "in the gap: the jump"),
    ("America/Chicago", "2026-11-01", "01:00", "2026-11-01T06:00", "twice: the first"),
    ("Asia/Tokyo", "2026-03-08", "02:30", "2026-03-07T17:30", "no change of clocks"),
]


@pytest.mark.parametrize(("zone", "day", "wall", "utc", "why"), WALLS)
def test_a_time_in_the_gap_is_the_jump_and_of_a_fold_the_first(zone, day, wall, utc, why):
    hour, minute = map(int, wall.split(":"))
    at = utc_s(ZoneInfo(zone), dt.date.fromisoformat(day), hour * HOUR + minute * 60)
    assert at * NS == ns(utc), why


def test_sessions_in_the_gap_and_the_fold_keep_their_order():
    night = made(
        phases=((1.25, "pre_open"), (2.25, "open"), (2.75, "closed")),
        weekdays=(0, 1, 2, 3, 4, 5, 6),
    )
    for day in ("2026-03-08", "2026-11-01"):
        found = events("V", night, ns(day), ns(day) + DAY_S * NS)
        assert [what for _, what in told(found) if what != "clock"] == [
            *("day_opened", "pre_open", "open", "closed", "day_closed"),
        ]
        times = [e.time_ns for e in found]
        assert times == sorted(times)


def test_holidays_have_no_day_and_an_early_close_cuts_it():
    thanksgiving = made(
        holidays=frozenset([dt.date(2026, 11, 26)]),
        early_closes=MappingProxyType({dt.date(2026, 11, 27): 13 * HOUR}),
        phases=((8, "pre_open"), (9.5, "open"), (15.75, "auction"), (16, "closed")),
    )
    assert told(events("V", thanksgiving, ns("2026-11-26"), ns("2026-11-28"))) == [
        ("11-27 13:00", "day_opened"),
        ("11-27 13:00", "pre_open"),
        ("11-27 14:30", "open"),
        ("11-27 18:00", "closed"),
        ("11-27 18:00", "day_closed"),
    ]


ZONES = (
    *("America/New_York", "America/Chicago", "Europe/London", "Australia/Sydney", "Asia/Tokyo"),
    *("Australia/Lord_Howe", "UTC", "Asia/Kolkata", "Pacific/Apia"),
)


@st.composite
def schedules(draw):
    """Draw a schedule whose times make sense."""
    roll = draw(st.sampled_from((0, 0, 17 * 60, 18 * 60, 30)))
    low = roll * 60 - DAY_S if roll else 0
    times = draw(st.lists(st.integers(0, DAY_S // 60), min_size=2, max_size=6, unique=True))
    times = [low + minute * 60 for minute in sorted(times)]
    phases = ["pre_open", "open", "auction", "closed"]
    kinds = [draw(st.sampled_from(phases)) for _ in times[:-1]]
    return made(
        draw(st.sampled_from(ZONES)),
        sessions=(Session(phases=tuple(zip(times, [*kinds, "closed"], strict=True))),),
        day_roll_min=roll,
        weekdays=tuple(sorted(draw(st.sets(st.integers(0, 6), min_size=1)))),
        holidays=frozenset(draw(st.sets(st.dates(dt.date(2026, 1, 1), dt.date(2027, 1, 1))))),
    )


@settings(deadline=None, max_examples=150)
@given(schedules(), st.integers(0, 360), st.integers(1, 40), st.data())
def test_events_are_ordered_alternate_cover_every_day_and_do_not_depend_on_the_cuts(
    schedule, first, days, data
):
    assert problem(schedule) == ""
    begin = ns("2026-01-01") + first * DAY_S * NS
    end = begin + days * DAY_S * NS
    found = events("V", schedule, begin, end)
    assert [e.time_ns for e in found] == sorted(e.time_ns for e in found)
    # Days open and close in turn, each its own; phases only within one.
    opened = None
    for event in [e for e in found if e.what in ("day_opened", "day_closed")]:
        if event.what == "day_opened":
            assert opened is None
            opened = event.trade_day
        else:
            assert opened in (None, event.trade_day)  # None: it opened before `begin`
            opened = None
    per_day: dict[dt.date, list[ScheduleEvent]] = {}
    for event in found:
        per_day.setdefault(event.trade_day, []).append(event)
    zone = ZoneInfo(schedule.zone)
    for day in (
        dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(first + 2, first + days - 2)
    ):
        whats = [e.what for e in per_day.get(day, []) if e.what != "clock"]
        if schedule.is_trading_day(day):
            count = len(schedule.sessions[0].phases)
            assert whats == ["day_opened", *["phase"] * count, "day_closed"]
        else:
            assert whats == []
    for event in found:  # the same moment on the wall, or the jump over it
        if event.what == "phase":
            wall = dt.datetime.fromtimestamp(event.time_ns // NS, zone)
            at = (wall.date() - event.trade_day).days * DAY_S
            at += wall.hour * HOUR + wall.minute * 60 + wall.second
            walls = {time for time, _ in schedule.sessions[0].phases}
            jump = event.time_ns // NS in set(
                clock_changes(zone, event.time_ns // NS - 1, event.time_ns // NS)
            )
            assert at in walls or jump
    cut = data.draw(st.integers(begin, end))
    assert events("V", schedule, begin, cut) + events("V", schedule, cut, end) == found


@settings(deadline=None, max_examples=60)
@example([1, 211_499], 1)  # it died behind the opening of its first day, and came back on Sunday
@given(st.lists(st.integers(1, 3 * 86_400), min_size=1, max_size=8), st.integers(0, 20))
def test_a_feeder_that_is_killed_and_started_again_feeds_each_event_once(steps, lost):
    """A restart goes on from what the log holds, however far the feeding got."""
    now = ns("2026-10-30T12:00")
    log: list[ScheduleEvent] = []
    first = now

    def held():
        phases = [e for e in log if e.what == "phase"]
        keys = frozenset(key_of(e) for e in log if e.what != "clock")
        return {"V": Held(phases[-1].time_ns if phases else 0, keys)}

    class KilledError(Exception):
        pass

    for step in steps:
        now += step * NS
        budget = [lost]

        def feed(event, budget=budget):
            if not budget[0]:
                raise KilledError
            budget[0] -= 1
            log.append(event)

        feeder = Feeder({"V": GLOBEX}, feed, held())
        try:
            assert feeder.run_to(now) > now
        except KilledError:
            continue
    Feeder({"V": GLOBEX}, log.append, held()).run_to(now)
    fed = [e for e in log if e.what != "clock"]
    since = fed[0].time_ns
    expected = [e for e in events("V", GLOBEX, min(since, first) - 1, now) if e.what != "clock"]
    missing = [e for e in expected if e.time_ns >= since and e not in fed]
    assert [e for e in missing if e.time_ns > fed[0].time_ns and e.time_ns > first] == []
    assert len(set(map(key_of, fed))) == len(fed)
    assert [e.time_ns for e in fed] == sorted(e.time_ns for e in fed)


def test_a_new_log_begins_with_the_present_day_and_phase():
    fed: list[ScheduleEvent] = []
    feeder = Feeder({"CME": GLOBEX}, fed.append, {})
    coming = feeder.run_to(ns("2026-11-24T15:00"))
    assert told(fed) == [("11-23 22:45", "day_opened"), ("11-23 23:00", "open")]
    assert coming == ns("2026-11-24T22:00")
    assert feeder.run_to(coming - 1) == coming
    assert len(fed) == 2
    feeder.run_to(coming)
    assert told(fed[2:]) == [("11-24 22:00", "closed"), ("11-24 22:00", "day_closed")]


def test_a_new_log_on_a_weekend_is_closed():
    fed: list[ScheduleEvent] = []
    Feeder({"CME": GLOBEX}, fed.append, {}).run_to(ns("2026-11-21T15:00"))
    assert told(fed) == [("11-20 22:00", "closed"), ("11-20 22:00", "day_closed")]


def test_an_event_that_was_not_taken_is_fed_again():
    fed: list[ScheduleEvent] = []
    broken = [True]

    def feed(event):
        if broken[0]:
            raise ConnectionError
        fed.append(event)

    feeder = Feeder({"CME": GLOBEX}, feed, {})
    for _ in range(2):
        with pytest.raises(ConnectionError):
            feeder.run_to(ns("2026-11-24T15:00"))
    broken[0] = False
    feeder.run_to(ns("2026-11-24T15:00"))
    assert told(fed) == [("11-23 22:45", "day_opened"), ("11-23 23:00", "open")]


def test_times_read_as_they_are_written():
    assert [shown(at) for at in (0, -7 * HOUR, 61, DAY_S, 16 * HOUR)] == [
        *("00:00", "-1d 17:00", "00:01:01", "24:00", "16:00"),
    ]
    for earlier, later in pairwise((-DAY_S, -1, 0, 1, DAY_S)):
        assert shown(earlier) != shown(later)
