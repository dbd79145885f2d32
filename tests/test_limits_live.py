"""The limits of a desk that runs: files, people and restarts, each a process of its own.

A venue trades with the desk meanwhile, so that orders are decided beside every change.
"""

import contextlib
import json
import os
import re
import socket

import pytest

import pyoms
from pyoms import limits
from pyoms.demo.session import forget_ring
from pyoms.tape import open_log
from tests.test_commands import ANYBODY, EXAMPLE, PATIENCE_S, Running
from tests.test_commands import pyoms as command

SMALL = {"orders_max": 16_384, "ids_max": 32_768, "fills_max": 16_384}
CONFIG = ANYBODY
for key, most in SMALL.items():
    CONFIG = re.sub(rf"(?m)^{key} = [\d_]+", f"{key} = {most}", CONFIG, count=1)


def told(*args, code=0):
    ran = command(*args, "--json")
    assert ran.returncode == code, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


def cut(text, qty):
    """Give a configuration whose maker trades at most so many in ESH4."""
    head, cell, tail = text.partition('scope = "account_instrument"')
    return head + cell + tail.replace("order_qty_max = 100", f"order_qty_max = {qty}", 1)


@pytest.fixture
def desk(tmp_path):
    """Give a desk directory and a starter of its engine; what it started is stopped."""
    path, file = tmp_path / "desk", tmp_path / "config.toml"
    path.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(forget_ring, path)
        args = ("--synthetic", "--socket", path / "venue.sock", "--stay", "--speed", 600)
        venue = Running("venue", "sim", *args)
        stack.callback(venue.stop)
        venue.until("listening")

        def start(text=CONFIG):
            file.write_text(text)
            run = Running("run", file, "--desk", path, "--json")
            stack.callback(run.stop)
            run.until("event", "running")
            return run

        yield path, start


def test_one_person_tightens_two_loosen_and_history_tells_each_change(desk, tmp_path):
    path, start = desk
    run = start()
    run.until("event", "open")
    first = told("limits", "show", "--desk", path)
    assert (first["limits_version"], first["waiting"]) == (1, None)
    file = tmp_path / "limits.toml"
    file.write_text(cut(CONFIG, 50))
    ask = ("limits", "set", file, "--desk", path)
    reason = ("--reason", "a quiet day")
    active = told(*ask, "--as", "alice", *reason)
    assert (active["limits_version"], active["changed_rows"]) == (2, 1)
    assert told(*ask, "--as", "alice") == {"changed_rows": 0, "limits_version": 2}
    assert told("status", "--desk", path)["limits_hash"] == active["limits_hash"]
    # Looser: another person, and what they approve is told to them.
    file.write_text(cut(CONFIG, 60))
    looser = {
        "scope": "account_instrument",
        "account": "MAKER",
        "instrument": "ESH4",
        "field": "order_qty_max",
        "old": "50",
        "new": "60",
    }
    asked = told(*ask, "--as", "bob", "--reason", "back")
    assert asked["loosened"] == [looser]
    shown = told("limits", "show", "--desk", path)
    assert (shown["limits_version"], shown["waiting"]["loosened"]) == (2, [looser])
    assert shown["waiting"]["change_hash"] == asked["change_hash"]
    approve = ("limits", "approve", asked["change_hash"], "--desk", path)
    for person, why in (("bob", "another person"), ("carol", "role risk"), ("eve", "none of")):
        refused = told(*approve, "--as", person, code=2)
        assert why in refused["error"]["message"]
    assert told(*approve, "--as", "alice")["limits_version"] == 3
    assert told(*approve, "--as", "alice", code=2)["error"]["code"] == "request"
    changes = told("limits", "history", "--desk", path)["changes"]
    people = [(c["person"], c["approver"], c["reason"]) for c in changes]
    assert people == [
        ("configuration", "", "configuration of a start"),
        ("alice", "", "a quiet day"),
        ("bob", "alice", "back"),
    ]
    assert changes[1]["changes"] == [{**looser, "old": "100", "new": "50"}]
    assert changes[2]["changes"] == [looser]
    # What is told to people says the same.
    text = command("limits", "history", "--desk", path).stdout
    assert "bob, approved by alice: back" in text
    assert "MAKER ESH4: order_qty_max 50 -> 60" in text
    assert "order_qty_max" in command("limits", "show", "--desk", path).stdout
    assert run.stop() == 0
    # A stopped desk shows and tells them from its log, and takes no change.
    assert told("limits", "show", "--desk", path)["limits_version"] == 3
    assert told(*ask, "--as", "alice", code=0)["changed_rows"] == 0
    file.write_text(cut(CONFIG, 10))
    assert told(*ask, "--as", "alice", code=3)["error"]["code"] == "desk_not_reachable"


def trade(client):
    """Send one order; the version of the limits by which it was accepted."""
    accepted = client.answer(client.submit("ESH4", "buy", 1, "100"), PATIENCE_S)
    assert accepted.kind_name == "order_accepted"
    return accepted.limits_version


def test_every_order_beside_the_changes_is_judged_by_the_version_in_force(desk, tmp_path):
    path, start = desk
    run = start(CONFIG.replace("band_check = true", "band_check = false"))
    run.until("event", "open")
    file = tmp_path / "limits.toml"
    told_versions = []
    with pyoms.connect(path, "S2", account="SLICER") as client:
        for qty in (90, 80, 70, 60):
            told_versions.append(trade(client))
            file.write_text(cut(CONFIG, qty))
            told("limits", "set", file, "--as", "alice", "--desk", path)
        told_versions.append(trade(client))
    assert told_versions == [1, 2, 3, 4, 5]
    assert run.stop() == 0
    version, judged = 0, 0
    for batch in open_log(path).batches():
        active = [
            (int(r["event_seq"]), int(r["limits_version"]), 1) for r in batch.of("limits_activated")
        ]
        orders = [
            (int(r["event_seq"]), int(r["limits_version"]), 0) for r in batch.of("order_accepted")
        ]
        for _, told_version, is_active in sorted(active + orders):
            version += is_active
            judged += not is_active
            assert told_version == version, "I6"
    assert version == 5
    assert judged >= len(told_versions)


def test_a_restart_on_a_looser_configuration_loosens_nothing_that_two_people_could_approve(desk):
    path, start = desk
    assert start(cut(CONFIG, 50)).stop() == 0
    before = told("limits", "show", "--desk", path)
    run = start(cut(CONFIG, 60))
    held = run.until("event", "limits_held")
    assert (held["loosened_count"], held["in_force"]) == (1, 1)
    assert held["first"] == "account_instrument MAKER ESH4 order_qty_max 50 60"
    assert run.stop() == 0
    after = told("limits", "show", "--desk", path)
    assert (after["limits_version"], after["limits"]) == (1, before["limits"])
    # A tighter one is taken at once; so is a looser one that nobody could approve.
    assert start(cut(CONFIG, 40)).stop() == 0
    alone = re.sub(r"(?m)^bob = .*\n", "", cut(CONFIG, 70))
    assert start(alone).stop() == 0
    changes = told("limits", "history", "--desk", path)["changes"]
    new = [c["new"] for change in changes[1:] for c in change["changes"]]
    assert new == ["40", "70"]


# Wrong in the file                                   exit  told
WRONG = (
    ("order_qty_max = 100", "order_qty_max = -1", "limit[3].order_qty_max: "),
    ("order_qty_max = 100", "order_qty_max = 100\nqty = 1", "limit[3].qty: unknown key"),
    ("order_qty_max = 100", "order_qty_max = 1e400", "limit[3].order_qty_max: "),
    ('instrument = "ESH4"', 'instrument = "NQ"', "limit[3].instrument: "),
    ("net_qty_max = 200", 'net_qty_max = "12345678901"', "limit[3].net_qty_max: "),
)


def test_a_wrong_file_changes_nothing_and_is_told_by_file_line_and_key(desk, tmp_path):
    path, start = desk
    run = start()
    file = tmp_path / "limits.toml"
    head, cell, tail = CONFIG.partition('scope = "account_instrument"')
    for old, new, why in WRONG:
        assert old in tail
        file.write_text(head + cell + tail.replace(old, new, 1))
        ran = command("limits", "set", file, "--as", "alice", "--desk", path)
        assert (ran.returncode, ran.stdout) == (2, ""), old
        assert re.search(rf"{re.escape(str(file))}:\d+: {re.escape(why)}", ran.stderr), ran.stderr
        assert "Traceback" not in ran.stderr
    only = tmp_path / "only.toml"
    only.write_text('[[limit]]\nscope = "session"\nsession = "S9"\norders_max = 1\nwindow_ms = 1\n')
    ran = command("limits", "set", only, "--as", "alice", "--desk", path)
    assert (ran.returncode, "no session of the desk" in ran.stderr) == (2, True), ran.stderr
    long = command("limits", "set", file, "--as", "alice", "--reason", "x" * 41, "--desk", path)
    assert long.returncode == 2
    assert told("limits", "show", "--desk", path)["limits_version"] == 1
    assert run.stop() == 0


def test_limits_change_during_a_kill_and_the_kill_stays(desk, tmp_path):
    path, start = desk
    run = start()
    run.until("event", "open")
    told("kill", "--desk", path)
    run.until("event", "closed")
    file = tmp_path / "limits.toml"
    file.write_text(cut(CONFIG, 50))
    assert told("limits", "set", file, "--as", "alice", "--desk", path)["limits_version"] == 2
    status = told("status", "--desk", path)
    assert (status["mode"], status["limits_version"]) == ("cancel_only", 2)
    assert run.stop() == 0


def asked_as(uid, path, lines):
    """Ask a desk as another user: the answers, or what the system said."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            answers = []
            for line in lines:
                with socket.socket(socket.AF_UNIX) as door:
                    door.connect(str(path / "control.sock"))
                    door.sendall(line.encode() + b"\n")
                    with door.makefile("r") as answer:
                        answers.append(answer.readline())
            os.write(writer, json.dumps(answers).encode())
        except OSError as error:
            os.write(writer, json.dumps([f"{error.__class__.__name__}"]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as source:
        told_back = source.read()
    os.waitpid(pid, 0)
    return json.loads(told_back)


def test_a_person_acts_as_the_user_that_the_configuration_binds_him_to(desk, tmp_path):
    path, start = desk
    own, other = os.geteuid(), os.geteuid() + 1_001
    bound = CONFIG.replace('"admin"]', f'"admin"], uid = {other}', 1)
    bound = bound.replace('"trader"]', f'"trader"], uid = {own}', 1)
    run = start(bound)
    told("kill", "--desk", path)
    asked = told("release", "--as", "alice", "--desk", path)
    approve = ("release", "--approve", asked["change_hash"], "--desk", path)
    refused = told(*approve, "--as", "bob", code=2)["error"]["message"]
    assert f"bound to the user with uid {other}" in refused
    assert told("status", "--desk", path)["mode"] == "cancel_only"
    file = tmp_path / "limits.toml"
    file.write_text(cut(bound, 50))
    ran = told("limits", "set", file, "--as", "bob", "--desk", path, code=2)
    assert "is bound to" in ran["error"]["message"]
    assert (
        "is bound to"
        in told("close-day", "SIM", "2026-01-05", "--as", "bob", "--desk", path, code=2)["error"][
            "message"
        ]
    )
    if own == 0:  # only root can be another
        for above in (path, tmp_path, *tmp_path.parents[:2]):
            above.chmod(0o755)
        lines = [
            "attach session=S2 slots=64",
            "order seq=1",
            f"release as=alice approve={asked['change_hash']}",
            f"release as=bob approve={asked['change_hash']}",
        ]
        answers = asked_as(other, path, lines)
        assert "is for the desk's own user" in answers[0]
        assert "is for the desk's own user" in answers[1]
        assert "bound to the user with uid 0" in answers[2]
        assert '"ok":true' in answers[3]
        assert told("status", "--desk", path)["mode"] == "open"
        stranger = asked_as(other + 1, path, ["status"])
        assert stranger in ([""], ["ConnectionResetError"], ["BrokenPipeError"]), (
            "none of the people"
        )
    assert run.stop() == 0


def test_the_example_binds_its_people_and_its_limits_compile():
    from pyoms.config import load

    config = load(EXAMPLE)
    rows = limits.rows_of(config.limits, lambda _, name: 1 + len(name) % 2)
    assert len(rows) == len(config.limits)
    uids = [person.uid for person in config.people if "risk" in person.roles]
    assert len(set(uids)) == len(uids) == 2
