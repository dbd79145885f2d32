"""The kill switch by the control file alone (I1, I3, I5)."""

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pyoms import kill
from pyoms_core import layout

ROOT = Path(__file__).parents[2]
COUNTS = {"account": 5, "instrument": 7, "venue": 2, "session": 3, "strategy": 2}
SENDERS = 4
ROWS_AT = (layout.CONTROL_WORDS + 8 * sum(COUNTS.values()) + 63) // 64 * 64
ME = os.getpid()
TRUE = '{"account": {"A1": true}}'


def make_desk(path, *, rows=(), epoch=7, desk_mode=0):
    """Write a desk directory with a control file as the journal writes it."""
    path.mkdir(mode=0o750, exist_ok=True)
    (path / "desk_id").write_text(f"{9:016x}{1:016x}\n")
    (path / "names.json").write_text(json.dumps({"account": {"A1": 1, "A5": 5}, "venue": {"V": 2}}))
    header = struct.pack(
        "<QQIIIIIIQ",
        layout.CONTROL_MAGIC,
        layout.LAYOUT_HASH,
        *COUNTS.values(),
        SENDERS,
        9,
    ).ljust(124, b"\0")
    data = bytearray(ROWS_AT + 64 * SENDERS)
    data[:128] = header + struct.pack("<I", kill.crc32c(header))
    struct.pack_into("<Q", data, layout.CONTROL_DESK_WORD, desk_mode << 56 | epoch)
    for i, row in enumerate(rows):
        struct.pack_into("<IIQQQQI", data, ROWS_AT + 64 * i, *row)
    control = path / "control"
    control.write_bytes(data)
    control.chmod(0o640)
    return path


def row(pid=ME, state=1, start=None, seen=7, sent=11, unsent=3, venue=1):
    """Give the fields of one sender's row; by default this very process, behind."""
    return (
        pid,
        state,
        kill.start_time_of(pid) if start is None else start,
        seen,
        sent,
        unsent,
        venue,
    )


def word(desk, index=None):
    at = layout.CONTROL_DESK_WORD if index is None else layout.CONTROL_WORDS + 8 * index
    return divmod(struct.unpack_from("<Q", (desk / "control").read_bytes(), at)[0], 1 << 56)


@pytest.fixture
def desk(tmp_path):
    return make_desk(tmp_path / "desk")


@pytest.mark.parametrize(
    ("scope", "target", "index"),
    [
        ("account", "A1", 0),
        ("account", "A5", 4),
        ("instrument", "#1", 5),
        ("instrument", "#7", 11),
        ("venue", "V", 13),
        ("session", "#3", 16),
        ("strategy", "#2", 18),
    ],
)
def test_scope_writes_its_own_word_and_bumps_the_desk_word(desk, scope, target, index):
    engaged = kill.engage(desk, scope, target, "halt")
    assert (engaged.mode, engaged.epoch, engaged.acknowledged, engaged.durable) == (
        *("halt", 8),
        *(True, True),
    )
    assert word(desk) == (0, 8)
    for other in range(19):
        assert word(desk, other) == ((3, 8) if other == index else (0, 0))
    assert kill.read(desk).entities == {scope: {int(kill.resolve(desk, scope, target)): "halt"}}


def test_desk_word_takes_the_mode_and_a_stricter_one_stays(desk):
    assert kill.engage(desk).mode == "cancel_only"
    assert word(desk) == (2, 8)
    assert kill.engage(desk, mode="halt").mode == "halt"
    assert kill.engage(desk, mode="cancel_only").mode == "halt"
    assert word(desk) == (3, 10)
    assert kill.engage(desk, "account", "A1").mode == "cancel_only"
    assert word(desk) == (3, 11)


def test_acknowledged_when_every_sender_has_published_the_epoch(tmp_path):
    desk = make_desk(tmp_path / "desk", rows=[row()])

    def sender():
        control = kill.ControlFile(desk / "control", write=True)
        at = layout.CONTROL_DESK_WORD // 8
        while (seen := control.words[at] & (1 << 56) - 1) == 7:
            pass
        control.words[ROWS_AT // 8 + 2] = seen
        control.close()

    thread = threading.Thread(target=sender)
    thread.start()
    engaged = kill.engage(desk, wait_s=20)
    thread.join()
    assert engaged.acknowledged
    assert engaged.ack_us is not None
    assert [(s.pid, s.answer, s.sent_seq, s.unsent_bytes) for s in engaged.senders] == [
        (ME, "epoch", 11, 3)
    ]


def test_parked_and_dead_senders_count_and_a_silent_one_is_named(tmp_path, capsys):
    rows = [row(state=2), row(start=1), row(pid=2**22 + 5, start=4), row()]
    desk = make_desk(tmp_path / "desk", rows=rows)
    engaged = kill.engage(desk, wait_s=0)
    assert [s.answer for s in engaged.senders] == ["parked", "dead", "dead", "silent"]
    assert not engaged.acknowledged
    assert engaged.ack_us is None
    assert word(desk) == (2, 8)  # engaged all the same
    assert kill._tell_all(desk, engaged, 0, as_json=False) == 1
    assert f"NOT acknowledged by process {ME}" in capsys.readouterr().out


# rows of senders                                                       what people are told
ANSWERS = (
    ((row(start=1, seen=99), row(start=1, state=2)), "no sender runs on this desk"),
    ((row(state=2), row(state=2)), "acknowledged by 1 process after"),
    ((row(seen=99), row(start=1, state=2)), "acknowledged by 1 process after"),
    ((), "no sender runs on this desk"),
)


@pytest.mark.parametrize(("rows", "told"), ANSWERS)
def test_processes_that_live_are_counted_and_dead_ones_acknowledge_nothing(
    rows, told, tmp_path, capsys
):
    desk = make_desk(tmp_path / "desk", rows=rows)
    assert kill.main(["--desk", str(desk)]) == 0
    assert told in capsys.readouterr().out


def test_hard_kills_the_silent_process_and_no_other(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with child:
        desk = make_desk(tmp_path / "desk", rows=[row(pid=child.pid), row(start=1), row(state=2)])
        engaged = kill.engage(desk, wait_s=0.01, hard=True)
        assert child.wait(10) == -9
    answers = [s.answer for s in engaged.senders]
    assert answers[1:] == ["dead", "parked"]
    assert engaged.notes == (f"process {child.pid} did not answer and was killed",)


@contextlib.contextmanager
def engine(desk, *, late=0, words=None):
    """Run a process that holds the desk's lock as an engine does; it hangs."""
    code = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(1)"
    code += "; sys.stdout.flush(); sys.stdin.read()"
    (desk / "lock").touch()
    args = [sys.executable, "-c", code, str(desk / "lock")]
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"1\n"
            start = kill.start_time_of(child.pid) + late
            (desk / "lock").write_text(f"{child.pid} {start}\n" if words is None else words)
            yield child
        finally:
            child.kill()


NAMES = '{"account": {}, "venue": {"CME": 2, "SIM": 1}, "cancels_on_disconnect": ["SIM"]}'


def test_a_hard_stop_ends_the_process_of_the_lock_and_names_what_that_does_not_cover(desk):
    (desk / "names.json").write_text(NAMES)
    with engine(desk) as child:
        engaged = kill.engage(desk, hard=True)
        assert child.wait(10) == -9
    hard = engaged.hard
    assert hard is not None
    assert (hard.pid, hard.ended) == (child.pid, True)
    assert (hard.covered, hard.not_covered) == (("SIM",), ("CME",))
    assert word(desk) == (2, 8)
    assert kill.engine_pid(desk) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"venue": 3}'])
def test_a_hard_stop_needs_no_names_and_says_that_it_knows_no_venues(desk, text):
    (desk / "names.json").write_text(text)
    with engine(desk) as child:
        hard = kill.engage(desk, hard=True).hard
        assert child.wait(10) == -9
    assert hard is not None
    assert hard.not_covered == ("all: names.json does not tell",)


# what the lock says of its holder           what people are told
STALE = (
    ({"late": 1}, "is not the one that took the lock"),
    ({"words": ""}, "does not tell whose it is"),
    ({"words": "x y\n"}, "does not tell whose it is"),
    ({"words": "99999999999999999999 1\n"}, "does not tell whose it is"),
    ({"words": "4194303 1\n"}, "process 4194303"),
)


@pytest.mark.parametrize(("lock", "told"), STALE)
def test_a_hard_stop_leaves_a_process_alone_that_is_not_the_locks(desk, lock, told, capsys):
    with engine(desk, **lock) as child:
        assert kill.main(["--desk", str(desk), "--hard"]) == 1
        assert told in capsys.readouterr().out
        assert child.poll() is None
    assert word(desk) == (2, 8), "engaged all the same"


def test_a_hard_stop_without_an_engine_engages_and_says_that_there_is_none(desk, capsys):
    (desk / "lock").write_text(f"{ME} {kill.start_time_of(ME)}\n")  # left behind, held by nobody
    assert kill.main(["--desk", str(desk), "--hard"]) == 1
    assert "no engine holds the desk's lock" in capsys.readouterr().out
    assert word(desk) == (2, 8)


def test_a_hard_stop_works_beside_a_control_file_that_nobody_can_trust(desk):
    damage(desk, "noise")
    with engine(desk) as child:
        engaged = kill.engage(desk, hard=True)
        assert child.wait(10) == -9
    assert engaged.hard is not None
    assert engaged.hard.ended
    assert engaged.already


def test_cancels_of_an_engine_that_hangs_are_not_waited_for_longer_than_asked(desk, capsys):
    with engine(desk), socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(desk / "control.sock"))
        listening.listen(4)
        assert kill.main(["--desk", str(desk), "--json", "--timeout", "0.2"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["acknowledged"]
    assert not told["cancels"]["zero_open"]
    assert "the engine does not answer" in told["cancels"]["told"]


def damage(desk, what):
    control = desk / "control"
    data = bytearray(control.read_bytes())
    if what == "missing":
        control.unlink()
    elif what == "link":
        control.rename(desk / "elsewhere")
        control.symlink_to(desk / "elsewhere")
    elif what == "dangling link":
        control.unlink()
        control.symlink_to(desk / "nowhere")
    elif what == "two names":
        os.link(control, desk / "elsewhere")
    elif what == "directory":
        control.unlink()
        control.mkdir()
    elif what == "mode":
        control.chmod(0o666)
    elif what == "owner":
        os.chown(desk, 4242, -1)
    elif what == "empty":
        control.write_bytes(b"")
    elif what == "short":
        control.write_bytes(data[:-1])
    elif what == "noise":
        control.write_bytes(os.urandom(len(data)))
    elif what == "one bit":
        data[20] ^= 1
        control.write_bytes(data)
    elif what == "longer":
        control.write_bytes(data + b"\0")
    elif what == "padding":
        data[200] = 1
        control.write_bytes(data)
    elif what == "another log":
        (desk / "desk_id").write_text("1" * 32)
    elif what == "layout":
        data[8] ^= 1
        data[124:128] = struct.pack("<I", kill.crc32c(bytes(data[:124])))
        control.write_bytes(data)


DAMAGES = [
    *("missing", "link", "dangling link", "two names", "directory", "mode", "empty", "short"),
    *("noise", "one bit", "layout", "longer", "padding", "another log"),
    pytest.param(
        "owner", marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    ),
]


@pytest.mark.parametrize("what", DAMAGES)
def test_a_wrong_file_means_killed_already(desk, what, capsys):
    damage(desk, what)
    engaged = kill.engage(desk, "account", "A1")
    assert engaged.already
    assert engaged.mode == "halt"
    assert "killed already" in engaged.notes[0]
    assert kill.read(desk).mode == "halt"
    assert kill.main(["--desk", str(desk)]) == 0
    assert "killed already" in capsys.readouterr().out


@pytest.mark.parametrize("what", DAMAGES)
def test_a_wrong_file_under_a_running_engine_is_an_alarm_with_its_process(desk, what, capsys):
    damage(desk, what)
    (desk / "lock").write_text("4711 99\n")
    with (desk / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert kill.main(["--desk", str(desk), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["code"] == "control_file"
    assert "process 4711 runs" in told["message"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (
            ["--account", "A2"],
            "account 'A2' is not defined; defined are A1, A5; nothing was engaged",
        ),
        (["--session", "S1"], "does not tell the number of session 'S1'"),
        (["--account", "#6"], "account #6 is out of range: this desk has #1 to #5"),
        (["--account", "#0"], "out of range"),
        (["--account", "#x"], "is not a number such as #7"),
        (["--account", "#²"], "is not a number such as #7"),
        (["--account", "#9999999999"], "is not a number such as #7"),
        (["--account", ""], "is not defined"),
        (["--account", "A1", "--venue", "V"], "not allowed with argument"),
        (["--mode", "open"], "invalid choice: 'open'"),
        (["--mode", "reduce_only"], "invalid choice"),
        (["--hrad"], "unrecognized arguments: --hrad"),
        (["--timeout", "soon"], "invalid _seconds value: 'soon'"),
        (["--timeout", "-1"], "-1 is out of range: 0 to 86400 seconds"),
        (["--timeout", "nan"], "nan is out of range"),
    ],
)
def test_bad_input_engages_nothing_and_says_so(desk, args, told, capsys):
    before = (desk / "control").read_bytes()
    assert kill.main(["--desk", str(desk), "--json", *args]) == 2
    assert told in json.loads(capsys.readouterr().out)["error"]["message"]
    assert (desk / "control").read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"account": 3}', '{"account": {"A1": "x"}}'])
def test_damaged_names_do_not_stop_a_kill_by_number(desk, text, capsys):
    (desk / "names.json").write_text(text)
    assert kill.main(["--desk", str(desk), "--account", "A1"]) == 2
    assert kill.main(["--desk", str(desk), "--account", "#1"]) == 0
    assert word(desk, 0) == (2, 8)
    assert "error: " in capsys.readouterr().err


def test_no_desk_is_exit_code_3(tmp_path, capsys):
    for place in (tmp_path / "nowhere", tmp_path):
        assert kill.main(["--desk", str(place), "--json"]) == 3
        told = json.loads(capsys.readouterr().out)["error"]
        assert told["code"] == "desk_not_reachable"


def test_a_stuck_holder_of_the_file_lock_does_not_stop_a_kill(desk):
    with (desk / "control").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        engaged = kill.engage(desk)
    assert word(desk) == (2, 8)
    assert "file lock" in engaged.notes[0]


def test_kills_that_race_lose_no_word_and_no_epoch(desk):
    targets = [(s, f"#{i + 1}") for s, most in COUNTS.items() for i in range(most)]
    threads = [threading.Thread(target=kill.engage, args=(desk, *target)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert word(desk) == (0, 7 + len(targets))
    words = [word(desk, i) for i in range(len(targets))]
    assert [mode for mode, _ in words] == [2] * len(targets)
    assert sorted(epoch for _, epoch in words) == list(range(8, 8 + len(targets)))


@pytest.mark.parametrize("more", [[], ["--hard"]])
def test_standard_library_and_layout_are_enough(desk, more):
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "core")!r}]
for name in ("numpy", "typer", "rich", "pyoms_native", "pyoms_core.clock"):
    sys.modules[name] = None
from pyoms import cli
try:
    cli.main(["kill", "--desk", {str(desk)!r}, "--json", *{more!r}])
except SystemExit as done:
    core = {{"pyoms_core", "pyoms_core.errors", "pyoms_core.layout"}}
    ours = {{"pyoms", "pyoms.cli", "pyoms.kill", "pyoms.errors"}} | core
    loaded = {{name for name, module in sys.modules.items() if module is not None}}
    foreign = {{n for n in loaded - ours if n.split(".")[0] not in sys.stdlib_module_names}}
    sys.exit(f"foreign: {{foreign}}" if foreign - {{"__main__"}} else done.code)
"""
    # -I -S: no site-packages, no environment; only what the first lines put on the path.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (len(more), "")  # none runs that it could end
    assert json.loads(done.stdout)["mode"] == "cancel_only"
    assert word(desk) == (2, 8)


def test_module_and_command_are_the_same_thing(desk):
    for command in (
        [sys.executable, "-m", "pyoms.kill"],
        [sys.executable, "-m", "pyoms.cli", "kill"],
    ):
        done = subprocess.run(
            [*command, "--desk", str(desk), "--json"], capture_output=True, text=True, check=True
        )
        told = json.loads(done.stdout)
        assert told["engaged"]
        assert told["acknowledged"]


def test_show_reads_and_changes_nothing(desk, capsys):
    kill.engage(desk, "account", "A5")
    before = (desk / "control").read_bytes()
    assert kill.main(["--desk", str(desk), "--show", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "mode": "open",
        "epoch": 8,
        "entities": {"account": {"5": "cancel_only"}},
        "problem": "",
    }
    assert (desk / "control").read_bytes() == before


@pytest.mark.parametrize(("value", "problem"), [(9 << 56 | 3, "noise"), (2 << 56 | 8, "noise")])
def test_noise_in_a_word_reads_as_halted_and_can_still_be_tightened(desk, value, problem):
    data = bytearray((desk / "control").read_bytes())
    struct.pack_into("<Q", data, layout.CONTROL_WORDS, value)
    (desk / "control").write_bytes(data)
    assert problem in kill.read(desk).problem
    assert kill.read(desk).mode == "halt"
    engaged = kill.engage(desk, "account", "A1")
    assert engaged.mode == ("halt" if value >> 56 == 9 else "cancel_only")
    assert kill.read(desk).problem == ""


def test_crc32c_is_castagnoli():
    assert kill.crc32c(b"123456789") == 0xE3069283
