"""A short session, whole: real processes, a kill, a SIGKILL, and every proof.

On a synthetic day of ten minutes' trading, so that it needs no recording. Each run takes seconds;
nothing here sleeps.
"""

import functools
import json
import re
import shutil
import subprocess
import sys
from fractions import Fraction

import pytest

from pyoms.demo import plots
from pyoms.numbers import to_fixed
from pyoms.tape import open_log
from pyoms.venues.sim import find_recording
from tests.model.desk import Desk
from tests.model.seam import fold_log

SHORT = ("--synthetic", "--minutes", "10", "--commands", "2000")


def pyoms(*args, timeout=120):
    command = [sys.executable, "-m", "pyoms.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """One short session for all: its desk and what it printed."""
    desk = tmp_path_factory.mktemp("demo") / "desk"
    ran = pyoms("demo", *SHORT, "--seed", 1, "--desk", desk, "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return desk, json.loads(ran.stdout)


def test_a_session_proves_itself_and_tells_every_figure(session):
    _, told = session
    asked = """data commands accepted rejected fills events live_state_hash replay_state_hash
        positions_match venue_match self_trades sent_after_ack duplicate_sends recovered_events
        decide_p50_ns decide_p99_ns tier"""
    assert set(asked.split()) <= set(told)
    assert told["failed"] == []
    assert told["live_state_hash"] == told["replay_state_hash"]
    assert told["positions_match"]
    assert told["venue_match"]
    assert (told["self_trades"], told["sent_after_ack"], told["duplicate_sends"]) == (0, 0, 0)
    assert told["held_back"] > 0, "new orders waited when the switch was engaged"
    assert told["filled_while_dead"] > 0
    assert told["recovered_events"] > 0
    assert {"reference_crossed", "killed"} <= set(told["rejected"])


def test_one_seed_is_one_run_and_another_seed_another(session, tmp_path):
    hashes = []
    for seed in (1, 2):
        ran = pyoms("demo", *SHORT, "--seed", seed, "--desk", tmp_path / str(seed), "--json")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        hashes.append(json.loads(ran.stdout)["live_state_hash"])
    assert hashes[0] == session[1]["live_state_hash"]
    assert hashes[1] != hashes[0]


def test_a_stopped_desk_is_read_from_its_log_alone(session):
    desk, told = session
    status = json.loads(pyoms("status", "--desk", desk, "--json").stdout)
    assert not status["running"]
    assert status["state_hash"] == told["live_state_hash"]
    orders = json.loads(pyoms("orders", "--all", "--desk", desk, "--json").stdout)["orders"]
    assert len(orders) == told["orders"]
    wanted = "order_id symbol side order_type price quantity_total quantity_filled"
    wanted += " quantity_remaining status venues"
    assert list(orders[0])[:10] == wanted.split()
    positions = json.loads(pyoms("positions", "--desk", desk, "--json").stdout)["positions"]
    assert {row["account"] for row in positions} >= {"MAKER", "SLICER"}
    lines = pyoms("events", "--last", 7, "--desk", desk, "--json").stdout.splitlines()
    assert [json.loads(line)["event_seq"] for line in lines][-1] == told["events"]
    assert len(lines) == 7


def test_the_oracle_folds_the_log_to_the_orders_and_positions_that_are_told(session):
    desk, told = session
    model = Desk()
    assert fold_log(open_log(desk).batches(), model) == []
    rows = json.loads(pyoms("orders", "--all", "--desk", desk, "--json").stdout)["orders"]
    assert [row["order_id"] for row in rows] == sorted(model.orders)
    for row in rows:
        order = model.orders[row["order_id"]]
        qtys = [to_fixed(row[f"quantity_{of}"], of) for of in ("total", "filled", "remaining")]
        assert qtys == [order.qty, order.cum_qty, order.leaves_qty], row
        told_of = (row["status"], row["cl_ord_id"], to_fixed(row["price"], "price"))
        assert told_of == (order.status, order.cl_ord_id, order.price)
        average = order.cum_points // order.cum_qty if order.cum_qty else None
        assert (to_fixed(row["avg_px"], "avg_px") if row["avg_px"] else None) == average
    positions = json.loads(pyoms("positions", "--desk", desk, "--json").stdout)["positions"]
    folded = {pair: model.position(*pair) for pair in model.bookings}
    nets = sorted(to_fixed(row["net_qty"], "net_qty") for row in positions)
    assert nets == sorted(position.net_qty for position in folded.values())
    traded = [(row["bought_qty"], row["sold_qty"]) for row in positions]
    assert sorted((to_fixed(b, "bought"), to_fixed(s, "sold")) for b, s in traded) == sorted(
        (position.bought_qty, position.sold_qty) for position in folded.values()
    )
    multiplier = {pair: model.instruments[pair[1]].multiplier for pair in folded}
    realised = sorted(
        Fraction(position.realised_points * multiplier[pair], 10**27)
        for pair, position in folded.items()
    )
    assert sorted(Fraction(row["realised"]) for row in positions) == realised
    assert told["fills"] == sum(len(order.fills) for order in model.orders.values())


def test_replay_stands_where_it_is_asked_to_and_tells_an_orders_story(session):
    desk, told = session
    whole = json.loads(pyoms("replay", desk, "--verify", "--json").stdout)
    assert whole["state_hash"] == told["live_state_hash"]
    assert whole["verify"]["damage"] is None
    early = json.loads(pyoms("replay", desk, "--at", 200, "--order", 1, "--json").stdout)
    assert early["event_seq"] == 200
    assert {event["order_seq"] for event in early["events"]} == {1}
    assert early["events"][0]["kind"] == "order_accepted"


def test_a_demo_never_overwrites_what_it_did_not_make(tmp_path):
    (tmp_path / "letter").write_text("mine")
    ran = pyoms("demo", *SHORT, "--desk", tmp_path, "--json")
    assert ran.returncode == 2
    assert json.loads(ran.stdout)["error"]["code"] == "demo_desk"
    assert (tmp_path / "letter").read_text() == "mine"


def test_the_page_needs_nothing_else_and_renders(session, tmp_path):
    page = session[0] / "demo/report.html"
    text = page.read_text()
    assert not re.search(r"(?:src|href)\s*=|url\(|<script|@import", text)
    assert text.count("<svg") >= 6
    assert "every proof holds" in text
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if browser is None:
        pytest.skip("chromium is not installed")
    picture = tmp_path / "page.png"
    args = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1100,3600"]
    args += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}", page.as_uri()]
    subprocess.run(args, capture_output=True, timeout=120, check=True)
    assert picture.stat().st_size > 50_000, "a page with plots, not a blank one"


def test_ticks_are_round_and_within():
    assert plots.ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert plots.ticks(3, 3) == [3]
    assert all(4799 <= tick <= 4812 for tick in plots.ticks(4799, 4812))


@pytest.mark.slow
def test_the_recorded_day_reaches_twenty_thousand_commands(tmp_path):
    if find_recording() is None:
        pytest.skip("the recording is absent: PYOMS_DATA or ../shared/data")
    run = functools.partial(pyoms, "demo", "--seed", 1, "--json")
    first, second = (json.loads(run("--desk", tmp_path / name).stdout) for name in "ab")
    assert first["failed"] == []
    assert first["commands"] >= 20_000
    assert first["live_state_hash"] == second["live_state_hash"]
    assert {"reference_crossed", "reference_locked"} <= set(first["rejected"])
