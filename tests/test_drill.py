"""The kill drill by its command, its evidence, and the hard stop of a real desk (I1, I3, G5)."""

import json
import os
import signal
import subprocess
import sys

import pytest

from pyoms import drill, evidence
from pyoms_core.layout import CODES
from tests.test_commands import EXAMPLE
from tests.test_commands import pyoms as command
from tests.test_running import NO_STRATEGY, Eye, live  # noqa: F401  a fixture

KEYS = {
    *("messages", "trials", "sent_after_ack", "ack_us_p50", "ack_us_max", "cancels_sent"),
    *("cancels_confirmed", "left_open", "refused", "lives", "violations", "messages_per_s"),
}


def test_a_thousand_kills_among_a_million_messages_let_nothing_through():
    # I1, G5. One JSON object; the venue counts what it was sent after each acknowledgement.
    args = ["drill", "--trials", "1000", "--messages", "1000000", "--json"]
    done = command(*args)
    report = json.loads(done.stdout)
    assert (done.returncode, report["violations"]) == (0, [])
    assert report.keys() == KEYS | {"evidence"}
    assert report["trials"] >= 1_000
    assert report["messages"] >= 1_000_000
    assert (report["sent_after_ack"], report["left_open"]) == (0, 0)
    assert report["cancels_confirmed"] > 0 < report["cancels_sent"]
    assert report["refused"] > 0, "the client went on past every acknowledgement"
    assert 0 < report["ack_us_p50"] <= report["ack_us_max"]


@pytest.mark.parametrize(
    ("trials", "messages", "told"),
    [
        (0, 1, "trials 0 is out of range: 1 to 10000000"),
        (1, 0, "messages 0 is out of range"),
        (1, 10**10, "messages 10000000000 is out of range"),
    ],
)
def test_a_drill_of_no_size_is_refused(trials, messages, told):
    with pytest.raises(drill.DrillSizeError, match=told):
        drill.run(trials, messages)


REPORT = {"good": True, "trials": 3, "sent_after_ack": 0, "violations": [], "machine": "a <b>"}


def signed(tmp_path):
    made = evidence.sign(REPORT, tmp_path / "keys")
    return evidence.write(made, tmp_path, "drill", "Kill drill")


def test_evidence_is_signed_by_the_desks_key_and_any_change_of_it_is_found(tmp_path):
    file, page = signed(tmp_path)
    checked = evidence.check(file, tmp_path / "keys")
    assert (checked.report, checked.by_desk) == (REPORT, True)
    assert "a &lt;b&gt;" in page.read_text()
    told = json.loads(file.read_text())
    for name, value in (("sent_after_ack", 1), ("trials", "3"), ("good", 1), ("more", 0)):
        file.write_text(json.dumps({**told, "report": {**REPORT, name: value}}))
        with pytest.raises(evidence.ForgedError, match="it was changed"):
            evidence.check(file, tmp_path / "keys")
    mode = (tmp_path / "keys" / "evidence.key").stat().st_mode & 0o777
    assert mode == 0o600


def test_another_desks_key_is_told_apart(tmp_path):
    file, _ = signed(tmp_path)
    evidence.own_key(tmp_path / "other")
    assert evidence.check(file, tmp_path / "other").by_desk is False
    assert evidence.check(file, tmp_path / "none").by_desk is None
    (tmp_path / "desk").mkdir()
    (tmp_path / "other").rename(tmp_path / "desk" / "keys")
    assert command("drill", "--check", file, "--desk", tmp_path / "desk").returncode == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"report": {}}',
        '{"report": {}, "signature": "x", "public_key": "y"}',
    ],
)
def test_what_is_no_evidence_is_said_so(text, tmp_path):
    file = tmp_path / "drill.json"
    file.write_text(text)
    done = command("drill", "--check", file, "--json")
    assert done.returncode == 2
    told = json.loads(done.stdout)["error"]
    assert told["code"] == "evidence"
    assert "is no evidence" in told["message"]


@pytest.mark.parametrize("what", ["mode", "link", "noise", "another kind"])
def test_a_key_that_others_may_use_or_that_is_none_signs_nothing(what, tmp_path):
    evidence.own_key(tmp_path / "keys")
    key = tmp_path / "keys" / "evidence.key"
    if what == "mode":
        key.chmod(0o644)
    elif what == "link":
        key.rename(tmp_path / "elsewhere")
        key.symlink_to(tmp_path / "elsewhere")
    elif what == "noise":
        key.write_bytes(os.urandom(64))
    else:
        key.write_text((tmp_path / "keys" / "evidence.pub").read_text())
    with pytest.raises(evidence.EvidenceError, match=r"evidence\.key"):
        evidence.sign(REPORT, tmp_path / "keys")


RESTS = """
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


def resting(desk):
    """Start a client with one order at the venue."""
    desk.run.until("event", "open")
    Eye(desk.desk).until("phase_change", lambda row: row["phase"] == CODES["phase"]["open"].code)
    args = [sys.executable, "-c", RESTS, str(desk.desk)]
    client = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdout is not None
    assert client.stdout.readline() == b"resting\n"
    return client


def test_a_kill_counts_its_cancels_until_the_venue_says_that_nothing_is_open(live):  # noqa: F811
    desk = live(NO_STRATEGY)
    with resting(desk) as client:
        try:
            killed = json.loads(command("kill", "--desk", desk.desk, "--json").stdout)
        finally:
            client.kill()
    assert killed["acknowledged"]
    assert killed["ack_us"] < 1_000_000
    cancels = killed["cancels"]
    assert (cancels["sent"], cancels["confirmed"], cancels["left_open"]) == (1, 1, 0)
    assert cancels["zero_open"]
    assert cancels["told"] == ""
    told = command("kill", "--desk", desk.desk).stdout
    assert "0 open: every venue has confirmed it" in told
    assert desk.stop() == 0


def test_a_hard_stop_ends_an_engine_that_hangs_and_the_venue_cancels_its_orders(live):  # noqa: F811
    desk = live(NO_STRATEGY)
    with resting(desk) as client:
        try:
            pid = desk.status()["pid"]
            os.kill(pid, signal.SIGSTOP)  # it answers nobody any more
            done = command("kill", "--desk", desk.desk, "--hard", "--json")
        finally:
            client.kill()
    told = json.loads(done.stdout)
    assert (done.returncode, told["acknowledged"]) == (0, True)
    assert told["hard"] == {
        "pid": pid,
        "ended": True,
        "told": f"process {pid} was ended",
        "covered": ["SIM"],
        "not_covered": [],
    }
    assert desk.run.stop() == -signal.SIGKILL
    desk.venue.stop()  # it writes down what it has
    seen = json.loads(desk.witness.read_text())
    assert [order["ord_status"] for order in seen["orders"]] == ["canceled"]
    shown = json.loads(command("kill", "--desk", desk.desk, "--show", "--json").stdout)
    assert shown["mode"] == "cancel_only", "latched: it comes back killed"


def test_a_hard_stop_names_venues_without_cancel_on_disconnect(live):  # noqa: F811
    config = EXAMPLE.read_text().replace(
        "cancel_on_disconnect = true # the safe", "cancel_on_disconnect = false # not the safe"
    )
    desk = live(config.split("[[strategy]]")[0])
    desk.run.until("event", "open")
    told = command("kill", "--desk", desk.desk, "--hard").stdout
    assert "NOT at SIM: cancel there by other means" in told
    assert desk.run.stop() == -signal.SIGKILL
