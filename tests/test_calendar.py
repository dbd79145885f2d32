"""Schedules on real desks: what was missed is fed at start, once; a person proves a close."""

import contextlib
import dataclasses
import datetime as dt
import time

import pytest

from pyoms import config
from pyoms.demo.session import forget_ring
from pyoms.oms import feed_inline, open_desk
from pyoms.schedule import Feeder, events
from pyoms.tape import open_log
from pyoms_core.layout import CODES
from tests.test_commands import EXAMPLE, Running
from tests.test_commands import pyoms as command

EPOCH = dt.date(1970, 1, 1)

SCHEDULE = EXAMPLE.with_name("schedule.toml")
NS = 10**9
DAY_NS = 86_400 * NS


@pytest.fixture
def settings():
    """Give the example with tables and a ring that fit a test."""
    found = config.load(SCHEDULE)
    engine = dataclasses.replace(
        found.engine, orders_max=1 << 10, ids_max=1 << 11, fills_max=1 << 10, books_max=0
    )
    journal = dataclasses.replace(found.journal, ring_mib=2, segment_mib=2)
    return dataclasses.replace(found, engine=engine, journal=journal)


def logged(path):
    """Days and phases of the log, as (venue, what, day or time)."""
    found = []
    for batch in open_log(path).batches():
        for kind, rows in batch.runs():
            for row in rows:
                if kind == "day_change":
                    what = "day_opened" if row["opened"] else "day_closed"
                    found.append((int(row["venue_id"]), what, int(row["trade_day"])))
                elif kind == "phase_change":
                    found.append((int(row["venue_id"]), "phase", int(row["transact_time_ns"])))
    return found


def expected(settings, desk, from_ns, to_ns):
    """Give what schedules say of a span, as `logged` shows it, by venue."""
    return {
        desk.id_of("venue", venue.name): [
            (desk.id_of("venue", venue.name), e.what, e.time_ns if e.what == "phase" else e.day)
            for e in events(venue.name, venue.schedule, from_ns, to_ns)
            if e.what != "clock"
        ]
        for venue in settings.venues
    }


HEADER = ("event_seq", "ingest_time_ns", "order_seq", "kind", "more", "epoch", "crc32c")


def venue_definitions(path):
    """Definitions of venues in the log, as dicts."""
    rows = [row for batch in open_log(path).batches() for row in batch.of("definition")]
    code = CODES["entity"]["venue"].code
    return [
        {name: row[name].tolist() for name in row.dtype.names}
        for row in rows
        if row["entity"] == code
    ]


def by_venue(rows, number):
    return [row for row in rows if row[0] == number]


def test_a_desk_that_was_down_for_weeks_gets_all_that_it_missed_once_and_in_order(
    settings, tmp_path
):
    """CORNERS 27: the day's edge across a restart, a change of clocks among what was missed."""
    path = tmp_path / "desk"
    then_ns = time.time_ns() - 45 * DAY_NS
    bare = [dataclasses.replace(venue, schedule=None) for venue in settings.venues]
    with open_desk(dataclasses.replace(settings, venues=tuple(bare)), path) as desk:
        schedules = {v.name: v.schedule for v in settings.venues}
        feeder = Feeder(schedules, feed_inline(settings, desk), {})
        feeder.run_to(then_ns)
        first = logged(path) if desk.flush() else []
    first = logged(path)
    assert len(first) >= 2
    with open_desk(settings, path) as desk:
        now_ns = desk.now_ns
        numbers = [desk.id_of("venue", venue.name) for venue in settings.venues]
        missed = expected(settings, desk, then_ns, now_ns)
    rows = logged(path)
    assert rows[: len(first)] == first
    for number in numbers:
        assert by_venue(rows[len(first) :], number) == missed[number]
        assert len(missed[number]) > 100
    with open_desk(settings, path) as desk:
        again_ns = desk.now_ns
    assert logged(path)[len(rows) :] == [
        row for number in numbers for row in expected(settings, desk, now_ns, again_ns)[number]
    ]
    forget_ring(path)


def test_a_venue_with_a_schedule_tells_its_trading_day_by_its_clocks(settings, tmp_path):
    path = tmp_path / "desk"
    with open_desk(settings, path) as desk:
        cme, nyse = venue_definitions(path)
        schedule = settings.venues[0].schedule
        assert (cme["day_roll_min"], cme["flags"] & 2) == (1_005, 2)
        assert cme["utc_offset_min"] == schedule.offset_min(desk.now_ns)
        assert nyse["day_roll_min"] == 0
        # The next change of clocks is a definition of its own, and nothing else of it changes.
        feed = feed_inline(settings, desk)
        (change, *_) = [
            event
            for event in events("CME", schedule, desk.now_ns, desk.now_ns + 400 * DAY_NS)
            if event.what == "clock"
        ]
        feed(change)
        after = venue_definitions(path)[-1]
        assert after["utc_offset_min"] == change.utc_offset_min != cme["utc_offset_min"]
        same = [name for name in after if name not in ("utc_offset_min", *HEADER)]
        assert [after[name] for name in same] == [cme[name] for name in same]
    forget_ring(path)


def test_a_running_desk_is_fed_and_a_person_proves_its_close(tmp_path):
    file, desk = tmp_path / "config.toml", tmp_path / "desk"
    people = '\n[people]\nalice = { roles = ["risk"] }\ncarol = { roles = ["auditor"] }\n'
    small = "\n[engine]\norders_max = 1024\nids_max = 2048\nfills_max = 1024\nbooks_max = 0\n"
    text = SCHEDULE.read_text()
    file.write_text(text.replace("\n[[venue]]", people + small + "\n[[venue]]", 1))
    with contextlib.ExitStack() as stack:
        stack.callback(forget_ring, desk)
        run = Running("run", file, "--desk", desk, "--json")
        stack.callback(run.stop)
        run.until("event", "running")
        opened = [row for batch in open_log(desk).batches() for row in batch.of("day_change")]
        days = [int(row["trade_day"]) for row in opened if row["opened"]]
        present = dt.timedelta(days=days[-1]) if days else dt.datetime.now(dt.UTC).date() - EPOCH
        day, yesterday = (str(EPOCH + present - dt.timedelta(days=n)) for n in (0, 1))
        done = command("close-day", "CME", day, "--as", "alice", "--desk", desk, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        wrong = [
            (("CME", day, "--as", "carol"), 2, "has not the role risk"),
            (("LSE", day, "--as", "alice"), 2, "is not defined on this desk"),
            (("CME", "today", "--as", "alice"), 2, "write YYYY-MM-DD"),
            *[(("CME", yesterday, "--as", "alice"), 2, "is not its present one")] * bool(days),
        ]
        for args, code, told in wrong:
            refused = command("close-day", *args, "--desk", desk)
            assert (refused.returncode, told in refused.stderr) == (code, True), refused.stderr
        assert run.stop() == 0
        rows = [row for batch in open_log(desk).batches() for row in batch.of("day_change")]
        proved = [row for row in rows if row["proved"]]
        assert [bytes(row["person"]).rstrip(b"\0") for row in proved] == [b"alice"]
        assert {what for _, what, _ in logged(desk)} >= {"phase"}


def test_a_day_that_is_not_proved_closed_keeps_orders_and_reserve_until_a_word_of_proof(
    settings, tmp_path
):
    """CORNERS 27: the schedule's close alone ends nothing that is at the venue."""
    from tests.unit.test_engine import made

    oms = made()
    seq = oms.submit("ESH4", "buy", 2, "4819").order_seq
    oms.report(seq, "new")
    held = oms.submit("ESH4", "sell", 1, stop_px="4810").order_seq
    schedule = settings.venues[1].schedule
    sim = dataclasses.replace(settings.venues[1], name="SIM")
    feed = feed_inline(dataclasses.replace(settings, venues=(sim,)), oms)
    monday = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    start_ns = int(monday.timestamp()) * NS
    day = [e for e in events("SIM", schedule, start_ns, start_ns + DAY_NS) if e.what != "clock"]
    for event in day:
        feed(event)
    oms.take("time_input")
    assert oms.order(seq)["ord_status"] == "new", "at the venue: nobody has proved that it is gone"
    assert oms.order(held)["ord_status"] == "expired", "held here: its day is over here"
    number = oms.id_of("venue", "SIM")
    oms.take("day_change", venue_id=number, trade_day=day[-1].day, opened=0, proved=1)
    assert oms.order(seq)["ord_status"] == "expired"
    assert oms.core.exposure(1, 1)[:2] == (0, 0)


def test_a_gtd_order_lives_through_its_market_date_also_when_utc_is_past_midnight(settings):
    """CORNERS 27: ExpireDate(432) is the market's date, near midnight and a change of clocks."""
    from tests.unit.test_engine import made

    cme = dataclasses.replace(settings.venues[0], name="SIM")
    feed_of = dataclasses.replace(settings, venues=(cme,))
    for change in (
        dt.date(2026, 3, 9),
        dt.date(2026, 11, 2),
    ):  # the Mondays after the clocks change
        oms = made()
        feed = feed_inline(feed_of, oms)
        sunday = change - dt.timedelta(days=1)
        start = int(dt.datetime(sunday.year, sunday.month, sunday.day, tzinfo=dt.UTC).timestamp())
        week = events("SIM", cme.schedule, start * NS, start * NS + 3 * DAY_NS)
        evening = [e for e in week if e.trade_day == change]
        for event in evening[:-2]:
            feed(event)
        last = oms.submit("ESH4", "buy", 1, "4819", time_in_force="gtd", expire_date=change)
        assert last, str(last)
        gone = oms.submit(
            "ESH4", "buy", 1, "4819", time_in_force="gtd", expire_date=change - dt.timedelta(days=1)
        )
        assert gone.name == "expire_invalid", "the date of before, though Sunday in New York"
        longer = oms.submit(
            "ESH4", "buy", 1, "4818", time_in_force="gtd", expire_date=change + dt.timedelta(days=1)
        )
        for seq in (last.order_seq, longer.order_seq):
            oms.report(seq, "new")
        for event in evening[-2:]:
            feed(event)
        oms.take(
            "day_change",
            venue_id=oms.id_of("venue", "SIM"),
            trade_day=evening[-1].day,
            opened=0,
            proved=1,
        )
        statuses = [oms.order(seq)["ord_status"] for seq in (last.order_seq, longer.order_seq)]
        assert statuses == ["expired", "new"]
