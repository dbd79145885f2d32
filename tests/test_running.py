"""`pyoms run` as people run it: engine, venue, strategies and clients, each a process of its own.

What is waited for is an event of the log, a line or a closed socket; nothing here sleeps.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal

import pytest

import pyoms
from pyoms.demo.session import forget_ring
from pyoms.errors import ClientError
from pyoms.oms import Client
from pyoms_core.layout import CODES
from tests.test_commands import EXAMPLE, PATIENCE_S, Running
from tests.test_commands import pyoms as command

MAKER = "pyoms.demo.strategies:Maker"
NO_STRATEGY = EXAMPLE.read_text().split("[[strategy]]")[0] + '[[strategy]]\nname = "maker"\n'
NO_STRATEGY += 'account = "MAKER"\nsession = "S1"\n'


class Eye:
    """Follows the log as a client would; it sleeps until there is news."""

    def __init__(self, desk):
        self.client = Client(desk, "EYE", name="eye")
        self.tape = self.client.events(1)

    def until(self, kind, wanted=None):
        """Give the first row of a kind from here on that is wanted."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            version = self.client.version
            while (batch := self.tape.poll(1)) is not None:
                for row in batch.of(kind):
                    if wanted is None or wanted(row):
                        return row.copy()
            self.client.wait(self.tape.next_seq - 1, version, 1.0)
        raise AssertionError(f"no such {kind} within {PATIENCE_S} s")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.client.detach()


class Live:
    """A venue and a desk, up and open."""

    def __init__(self, desk, config, *, speed=600):
        self.desk, self.witness = desk, desk / "witness.json"
        desk.mkdir()
        file = desk.parent / "config.toml"
        file.write_text(config + '\n[[session]]\nname = "EYE"\n')
        socket = desk / "venue.sock"
        args = ("venue", "sim", "--synthetic", "--socket", socket, "--stay", "--speed", speed)
        self.venue = Running(*args, "--witness", self.witness)
        self.run = None
        try:
            self.venue.until("listening")
            self.run = Running("run", file, "--desk", desk, "--json")
        except BaseException:
            self.stop()
            raise

    def status(self):
        return json.loads(command("status", "--desk", self.desk, "--json").stdout)

    def flat(self):
        """Wait until no order is live; the status then."""
        end_s = time.monotonic() + PATIENCE_S
        while (status := self.status())["live_orders"]:
            assert time.monotonic() < end_s, status
        return status

    def stop(self):
        code = self.run.stop() if self.run else None
        self.venue.stop()
        return code


@pytest.fixture
def live(tmp_path):
    """Give a starter of desks; what it started is stopped."""
    with contextlib.ExitStack() as stack:

        def start(config, **more):
            started = Live(tmp_path / "desk", config, **more)
            stack.callback(forget_ring, started.desk)
            stack.callback(started.stop)
            return started

        yield start


def test_the_maker_quotes_and_trades_live_and_a_kill_from_another_shell_stops_it(live):
    desk = live(EXAMPLE.read_text())
    desk.run.until("event", "open")
    eye = Eye(desk.desk)
    new, trade = (CODES["exec_type"][name].code for name in ("new", "trade"))
    sides = {eye.until("order_accepted", lambda row: row["strategy_id"] == 1)["side"]}
    sides.add(eye.until("order_accepted", lambda row: row["side"] not in sides)["side"])
    assert sides == {1, 2}, "both sides are quoted"
    eye.until("execution_report", lambda row: row["exec_type"] == new)
    eye.until("execution_report", lambda row: row["exec_type"] == trade)
    killed = json.loads(command("kill", "--desk", desk.desk, "--json").stdout)
    assert killed["acknowledged"]
    desk.run.until("event", "closed")
    status = desk.flat()
    assert status["mode"] == "cancel_only"
    assert {client["name"] for client in status["attached"]} == {"maker", "eye"}
    before = status["links"][0]["link_seq_out"]
    why = CODES["verdict"]["killed"].code
    refused = eye.until("order_refused", lambda row: row["verdict"] == why)
    assert refused["strategy_id"] == 1, "the maker goes on asking and is refused"
    status = desk.status()
    assert (status["links"][0]["link_seq_out"], status["live_orders"]) == (before, 0)
    positions = json.loads(command("positions", "--desk", desk.desk, "--json").stdout)["positions"]
    assert desk.stop() == 0
    seen = json.loads(desk.witness.read_text())
    assert not any(order["leaves_qty"] for order in seen["orders"])
    assert seen["counters"]["duplicate_sends"] == 0
    ours = {row["account"]: int(Decimal(row["net_qty"]).scaleb(9)) for row in positions}
    assert [row["net"] for row in seen["positions"]] == [ours["MAKER"]]


def test_a_killed_strategy_is_named_and_its_orders_are_canceled(live):
    desk = live(EXAMPLE.read_text())
    pid = desk.run.until("event", "started")["pid"]
    desk.run.until("event", "open")
    with Eye(desk.desk) as eye:
        eye.until("execution_report")
        os.kill(pid, signal.SIGKILL)
        lost = desk.run.until("event", "lost")
        assert (lost["strategies"], lost["by"]) == ("maker", "SIGKILL")
        eye.until("mass_cancel", lambda row: row["of_session_id"] == row["session_id"] == 1)
    status = desk.flat()
    (told,) = status["clients_lost"]  # and not the one who took leave
    assert (told["name"], told["pid"], told["cancels"]) == ("maker", pid, "accepted")
    assert status["open"], "the desk itself goes on"
    assert desk.stop() == 0


HANGS = """
from pyoms import Strategy


class Hangs(Strategy):
    def resume(self, now_ns):
        self.oms.submit("ESH4", "buy", 1, str(self.oms.quote("ESH4")["bid_px"] // 10**9 - 10))

    def on_quote(self, instrument_id, bid_px, bid_qty, ask_px, ask_qty, now_ns):
        if bid_px > 0 and not self.replaying:
            self.oms.submit("ESH4", "buy", 1, str(bid_px // 10**9 - 10))

    def on_ack(self, e):
        while not self.replaying:
            pass
"""


def test_a_strategy_that_hangs_is_cut_off_ended_and_its_orders_are_canceled(
    live, tmp_path, monkeypatch
):
    (tmp_path / "hangs.py").write_text(HANGS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    desk = live(NO_STRATEGY + 'entry = "hangs:Hangs"\nsilence_ms_max = 500\n')
    lost = desk.run.until("event", "lost")
    assert lost["by"] == "SIGKILL"
    status = desk.flat()
    (told,) = status["clients_lost"]
    assert "silent for more than 500 ms" in told["why"]
    assert desk.stop() == 0


DUMB = """
from pyoms import Strategy


class Dumb(Strategy):
    def resume(self, now_ns):
        while True:
            pass
"""


def test_a_strategy_that_hangs_in_its_first_callback_is_cut_off_too(live, tmp_path, monkeypatch):
    (tmp_path / "dumb.py").write_text(DUMB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    desk = live(NO_STRATEGY + 'entry = "dumb:Dumb"\nsilence_ms_max = 500\n')
    assert desk.run.until("event", "lost")["by"] == "SIGKILL"
    (told,) = desk.status()["clients_lost"]
    assert "silent for more than 500 ms" in told["why"]
    assert desk.stop() == 0


def test_a_client_of_another_process_trades_and_its_session_is_its_own(live):
    desk = live(NO_STRATEGY)
    desk.run.until("event", "open")
    Eye(desk.desk).until("phase_change", lambda row: row["phase"] == CODES["phase"]["open"].code)
    with pyoms.connect(desk.desk, "S2", account="SLICER") as connection:
        while connection.quote("ESH4")["bid_px"] is None:
            list(connection.events(0.05))
        price = connection.quote("ESH4")["bid_px"] // 10**9 - 20
        accepted = connection.answer(connection.submit("ESH4", "buy", 2, price))
        assert accepted.kind_name == "order_accepted"
        order = accepted.order_seq
        acked = next(e for e in connection.events(5) if e.kind_name == "execution_report")
        assert (acked.order_seq, acked.name("exec_type")) == (order, "new")
        moved = connection.answer(connection.replace(order, price - 1, 3))
        assert moved.kind_name == "replace_accepted"
        next(e for e in connection.events(5) if e.kind_name == "execution_report")
        looked = connection.order(order)
        assert (looked["order_qty"], looked["ord_status"]) == (3 * 10**9, "new")
        assert connection.position("ESH4")["net_qty"] == 0
        refused = connection.answer(connection.submit("ESH4", "buy", 2, "0.3"))
        assert refused.kind_name == "order_refused"
        assert "tick" in refused.sentence
        with pytest.raises(ClientError, match=f"has a client already, process {os.getpid()}"):
            pyoms.connect(desk.desk, "S2")
        with pytest.raises(ClientError, match=r"MOON.* is not defined"):
            pyoms.connect(desk.desk, "MOON")
        ended = connection.answer(connection.cancel(order))
        assert ended.kind_name == "cancel_accepted"
        next(e for e in connection.events(5) if e.kind_name == "execution_report")
        assert connection.answer(connection.submit("ESH4", "buy", 1, price))
    desk.flat()
    with pytest.raises(ClientError, match="is closed"):
        connection.is_open  # noqa: B018
    assert desk.stop() == 0


CLIENT = """
import pyoms, sys
with pyoms.connect(sys.argv[1], "S2", account="SLICER") as connection:
    while connection.quote("ESH4")["bid_px"] is None:
        list(connection.events(0.05))
    price = connection.quote("ESH4")["bid_px"] // 10**9 - 20
    connection.submit("ESH4", "buy", 1, price)
    next(e for e in connection.events(30) if e.kind_name == "execution_report")
    print("resting", flush=True)
    sys.stdin.read()
"""


def test_the_orders_of_a_client_process_that_is_killed_are_canceled(live):
    desk = live(NO_STRATEGY)
    desk.run.until("event", "open")
    Eye(desk.desk).until("phase_change", lambda row: row["phase"] == CODES["phase"]["open"].code)
    args = [sys.executable, "-c", CLIENT, str(desk.desk)]
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == b"resting\n"
            assert desk.status()["live_orders"] == 1
        finally:
            client.kill()
    desk.flat()
    lost = {told["session"]: told["pid"] for told in desk.status()["clients_lost"]}
    assert lost["S2"] == client.pid
    assert desk.stop() == 0
