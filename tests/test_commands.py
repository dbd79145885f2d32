"""The commands as processes: bad input, and a running desk looked at and killed from beside it."""

import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyoms import look

EXAMPLE = Path(__file__).parents[1] / "examples/desk.toml"
# The example with people who may act as whoever runs the tests.
ANYBODY = re.sub(r", uid = \d+", "", EXAMPLE.read_text())
PATIENCE_S = 60


def pyoms(*args):
    command = [sys.executable, "-m", "pyoms.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


class Running:
    """A command that goes on; its lines are waited for, never slept for."""

    def __init__(self, *args):
        command = [sys.executable, "-m", "pyoms.cli", *map(str, args)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.output = self.process.stdout
        self.rest = b""

    def until(self, key, value=None):
        """Give the first line with `key` (and `value`), within patience."""
        end_s = time.monotonic() + PATIENCE_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.output, selectors.EVENT_READ)
            while time.monotonic() < end_s:
                while b"\n" in self.rest:
                    line, self.rest = self.rest.split(b"\n", 1)
                    told = json.loads(line)
                    if key in told and (value is None or told[key] == value):
                        return told
                if selector.select(1):
                    data = os.read(self.output.fileno(), 65536)
                    assert data, f"ended before it told {key} {value}"
                    self.rest += data
        raise AssertionError(f"no {key} {value} within {PATIENCE_S} s")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        self.output.close()
        return code


# verb and arguments                                             exit  error
TABLE = (
    (("status", "--desk", "{tmp}/none"), 3, "desk_not_reachable"),
    (("orders", "--desk", "{tmp}/none"), 3, "desk_not_reachable"),
    (("positions", "--desk", "{tmp}/none"), 3, "desk_not_reachable"),
    (("events", "--desk", "{tmp}/none"), 3, "desk_not_reachable"),
    (("replay", "{tmp}/none"), 3, "desk_not_reachable"),
    (("release", "--as", "a", "--desk", "{tmp}/none"), 3, "desk_not_reachable"),
    (("release", "--as", "a b", "--desk", "{tmp}/none"), 2, "request"),
    (("release", "--desk", "{tmp}/none"), 2, "usage"),
    (("release", "--as", "a", "--account", "A", "--venue", "V"), 2, "request"),
    (("run", "{tmp}/none.toml", "--desk", "{tmp}/d"), 2, "config"),
    (("run", "{tmp}/bad.toml", "--desk", "{tmp}/d"), 2, "config"),
    (("demo", "--data", "{tmp}/none.dbn.zst", "--desk", "{tmp}/d"), 2, "data"),
    (("demo", "--data", "{tmp}/text.dbn.zst", "--desk", "{tmp}/d"), 2, "tape"),
    (("demo", "--data", "{tmp}/text.dbn.zst", "--synthetic"), 2, "data"),
    (("demo", "--commands", "many"), 2, "usage"),
    (("venue", "sim", "--socket", "{tmp}/text.dbn.zst", "--synthetic"), 2, "venue_socket"),
    (("venue", "sim", "--socket", "{tmp}/s", "--options", "{tmp}/bad.toml"), 2, "venue_options"),
    (("venue", "sim"), 2, "usage"),
    (("nonsense",), 2, "usage"),
    (("config", "days", str(EXAMPLE), "--from", "9999-12-31"), 2, "request"),
    (("config", "days", str(EXAMPLE), "--from", "0001-01-01"), 2, "request"),
    (("release", "--as", "a", "--approve", "1", "--account", "A"), 2, "request"),
    (("release", "--as", "a", "--approve", "1", "--reason", "why"), 2, "request"),
    (("demo", "--data", "{tmp}", "--desk", "{tmp}/d"), 2, "data"),
    (("demo", "--data", "/dev/zero", "--desk", "{tmp}/d"), 2, "data"),
    (("demo", "--html", "{tmp}/none/x.html", "--desk", "{tmp}/d"), 2, "demo_desk"),
    (("demo", "--html", "{tmp}", "--desk", "{tmp}/d"), 2, "demo_desk"),
    (("doctor", "--ring-mib", "0"), 2, "usage"),
    (("run", "{tmp}/bad.toml", "--desk", ""), 2, "usage"),
    (("status", "--desk", ""), 2, "usage"),
    (("bench", "nosuch"), 2, "bench"),
    (("events", "--from", "9" * 30, "--desk", "{tmp}/none"), 2, "usage"),
    (("events", "--last", "9" * 30, "--desk", "{tmp}/none"), 2, "usage"),
    (("events", "--order", "9" * 30, "--desk", "{tmp}/none"), 2, "usage"),
    (("replay", "{tmp}/none", "--order", "9" * 30), 2, "usage"),
    (("replay", ""), 2, "usage"),
    (("replay", "{tmp}/none", "--at", ""), 2, "usage"),
    (("events", "--kind", ""), 2, "usage"),
    (("orders", "--symbol", ""), 2, "usage"),
    (("orders", "--account", ""), 2, "usage"),
    (("config", "check", ""), 2, "usage"),
    (("config", "check", "/dev/zero"), 2, "config"),
    (("run", ""), 2, "usage"),
    (("demo", "--data", ""), 2, "usage"),
    (("demo", "--html", ""), 2, "usage"),
    (("kill", "--desk", ""), 2, "kill"),
    (("kill", "--desk", "{tmp}/bad.toml"), 3, "desk_not_reachable"),
    (("venue", "sim", "--socket", ""), 2, "usage"),
    (("venue", "sim", "--socket", "{tmp}/s", "--data", "{tmp}"), 2, "data"),
    (("venue", "sim", "--socket", "{tmp}/s", "--synthetic", "--witness", ""), 2, "usage"),
    (
        ("venue", "sim", "--socket", "{tmp}/s", "--synthetic", "--witness", "{tmp}"),
        2,
        "venue_options",
    ),
    (("venue", "sim", "--socket", "{tmp}/s", "--synthetic", "--seed", "9" * 20), 2, "usage"),
    (("venue", "sim", "--socket", "{tmp}/s", "--synthetic", "--seed", "-1"), 2, "usage"),
    (("venue", "sim", "--socket", "{tmp}/s", "--synthetic", "--sample", "9" * 20), 2, "usage"),
    (("venue", "sim", "--socket", "{tmp}/s", "--synthetic", "--speed", "9" * 20), 2, "usage"),
)


@pytest.mark.parametrize(
    ("args", "code", "error"),
    TABLE,
    ids=lambda v: " ".join(map(str, v)) if isinstance(v, tuple) else str(v),
)
def test_bad_input_is_one_sentence_and_an_exit_code(args, code, error, tmp_path):
    (tmp_path / "bad.toml").write_text("[desk\n")
    (tmp_path / "text.dbn.zst").write_text("no recording, some text")
    given = [arg.replace("{tmp}", str(tmp_path)) for arg in args]
    ran = pyoms(*given, "--json")
    told = json.loads(ran.stdout)
    assert (ran.returncode, told["error"]["code"]) == (code, error), told
    assert told["error"]["message"]
    people = pyoms(*given)
    assert people.returncode == code
    assert "Traceback" not in people.stdout + people.stderr + ran.stderr
    assert people.stderr.startswith("error: ")


def test_a_file_in_the_place_of_a_desk_is_named_with_what_is_needed(tmp_path):
    place = tmp_path / "file"
    place.touch()
    for args in (("run", EXAMPLE), ("demo", "--synthetic")):
        ran = pyoms(*args, "--desk", place)
        assert ran.returncode == 2
        assert f"{place}: a file stands where a directory is needed" in ran.stderr


def test_a_running_desk_is_looked_at_killed_and_released_from_beside_it(tmp_path):
    desk = tmp_path / "desk"
    desk.mkdir()
    venue = Running("venue", "sim", "--synthetic", "--socket", desk / "venue.sock", "--stay")
    running = None
    try:
        venue.until("listening")
        config = tmp_path / "config.toml"
        config.write_text(ANYBODY)
        running = Running("run", config, "--desk", desk, "--json")
        running.until("event", "open")
        status = json.loads(pyoms("status", "--desk", desk, "--json").stdout)
        assert status["running"]
        assert status["links"][0]["state"] == "up"
        kept = (desk / "desk.toml").read_bytes()
        other = tmp_path / "other.toml"
        other.write_bytes(b"# Another configuration.\n" + EXAMPLE.read_bytes())
        second = pyoms("run", other, "--desk", desk, "--json")
        assert second.returncode == 2, "two engines on one desk directory"
        assert (desk / "desk.toml").read_bytes() == kept, "a refused run changes nothing"
        assert str(running.process.pid) in json.loads(second.stdout)["error"]["message"]
        killed = json.loads(pyoms("kill", "--desk", desk, "--json").stdout)
        assert killed["acknowledged"]
        running.until("event", "closed")
        status = json.loads(pyoms("status", "--desk", desk, "--json").stdout)
        assert (status["switch"], status["mode"]) == ("cancel_only", "cancel_only")
        asked = json.loads(pyoms("release", "--as", "alice", "--desk", desk, "--json").stdout)
        approve = ("release", "--approve", asked["change_hash"], "--desk", desk, "--json")
        assert pyoms(*approve, "--as", "alice").returncode == 2, "four eyes"
        assert pyoms(*approve, "--as", "bob").returncode == 0
        running.until("event", "open")
        assert pyoms("positions", "--desk", desk, "--json").returncode == 0
        assert running.stop() == 0
    finally:
        if running is not None:
            running.stop()
        venue.stop()
    status = json.loads(pyoms("status", "--desk", desk, "--json").stdout)
    assert not status["running"]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Give a desk that ran on the example, without a venue, and ended in order."""
    desk = tmp_path_factory.mktemp("stopped") / "desk"
    running = Running("run", EXAMPLE, "--desk", desk, "--json")
    try:
        running.until("event", "running")
        assert running.stop() == 0
    finally:
        running.stop()
    return desk


# verb and arguments on a stopped desk                            error      sentence
ON_A_DESK = (
    (("replay", "{desk}", "--at", "²"), "request", "neither an event number nor a time"),
    (("replay", "{desk}", "--at", "9" * 22), "request", "is above the last event number"),
    (("replay", "{desk}", "--at", "9" * 5000), "request", "is above the last event number"),
    (("release", "--as", "a", "--account", "#²", "--desk", "{desk}"), "kill", "is not a number"),
    (("orders", "--symbol", "ZZZ", "--desk", "{desk}"), "request", "instrument 'ZZZ' is not"),
    (("orders", "--account", "ZZZ", "--desk", "{desk}"), "request", "account 'ZZZ' is not"),
    (("replay", "{desk}", "--at", "0001-01-01T00:00:00"), "request", "1970-01-01 to 2262-04-11"),
    (("replay", "{desk}", "--at", "9999-12-31T23:59:59"), "request", "1970-01-01 to 2262-04-11"),
    (("venue", "sim", "--socket", "s", "--data", "{desk}"), "data", "is no regular file"),
    (("bench", "nosuch"), "bench", "python_batch"),
    (("release", "--as", "a", "--account", "?", "--desk", "{desk}"), "kill", "is not defined"),
)


@pytest.mark.parametrize(("args", "error", "sentence"), ON_A_DESK)
def test_what_a_desk_does_not_have_is_told_in_a_sentence(args, error, sentence, stopped):
    given = [arg.replace("{desk}", str(stopped)) for arg in args]
    ran = pyoms(*given, "--json")
    assert (ran.returncode, ran.stderr) == (2, "")
    told = json.loads(ran.stdout)["error"]
    assert told["code"] == error
    assert sentence in told["message"]


@pytest.mark.parametrize("names", ["[]", '{"account": 5}', '{"account": {"MAKER": true}}', "{"])
def test_damaged_names_refuse_a_release_in_a_sentence(names, tmp_path):
    (tmp_path / "names.json").write_text(names)
    ran = pyoms("release", "--as", "a", "--account", "MAKER", "--desk", tmp_path)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert "Traceback" not in ran.stderr


# what stands in place of stdout        exit  words on stderr
OUTPUTS = (("/dev/full", 2, "No space left"), ("pipe", 0, ""), ("closed", 0, ""))
TELLING = (("status",), ("status", "--json"), ("kill", "--show"), ("events", "--last", "0"))


@pytest.mark.parametrize("verb", TELLING, ids=" ".join)
@pytest.mark.parametrize(("output", "code", "words"), OUTPUTS)
def test_output_that_takes_nothing_ends_without_a_traceback(verb, output, code, words, stopped):
    command = [sys.executable, "-m", "pyoms.cli", *verb, "--desk", str(stopped)]
    if output == "closed":
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    reader, writer = os.pipe()
    os.close(reader)  # a reader that has seen enough, as `head -1` does
    with open(output if output.startswith("/") else os.devnull, "w") as other:  # noqa: PTH123
        ran = subprocess.run(
            command,
            stdout=writer if output == "pipe" else other,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    os.close(writer)
    assert ran.returncode == code, ran.stderr
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_a_fifo_in_place_of_the_control_file_is_told_and_holds_nobody_up(stopped, tmp_path):
    desk = tmp_path / "fifo"
    shutil.copytree(stopped, desk)
    (desk / "control").unlink()
    os.mkfifo(desk / "control")
    told = json.loads(pyoms("kill", "--show", "--desk", desk, "--json").stdout)
    assert told["mode"] == "halt"
    assert "is no regular file" in told["problem"]


def test_events_tell_the_name_of_a_definition(stopped):
    ran = pyoms("events", "--kind", "definition", "--last", "0", "--desk", stopped, "--json")
    names = {json.loads(line)["name"] for line in ran.stdout.splitlines()}
    config = EXAMPLE.read_text()
    assert names, ran.stderr
    assert any(f'"{name}"' in config for name in names), names
    assert not any("method" in name for name in names)


def test_a_time_with_an_offset_is_the_same_moment_in_utc(stopped):
    points = [
        look.parse_point(text, stopped)
        for text in ("2023-12-25T23:10:00+05:00", "2023-12-25T18:10:00Z", "2023-12-25T18:10:00")
    ]
    assert points == [{"at_time_ns": 1_703_527_800_000_000_000}] * 3


def test_a_damaged_log_is_exit_code_1_everywhere_and_the_switch_is_still_told(stopped, tmp_path):
    desk = tmp_path / "damaged"
    shutil.copytree(stopped, desk)
    segment = min((desk / "segments").iterdir())
    with segment.open("r+b") as file:
        file.seek(4096 + 128 * 8 + 40)  # in the ninth record, behind its header
        file.write(b"\xff" * 8)
    for verb in (("replay", desk), ("replay", desk, "--verify"), ("events", "--desk", desk)):
        ran = pyoms(*verb)
        assert (ran.returncode, "damaged at byte" in ran.stdout + ran.stderr) == (1, True), verb
    ran = pyoms("status", "--desk", desk, "--json")
    told = json.loads(ran.stdout)
    assert (ran.returncode, told["switch"], told["mode"]) == (1, "open", "open")
    assert "damaged at byte" in told["damage"]


def test_status_of_a_stopped_desk_tells_the_tier_and_the_stricter_mode_once(stopped, tmp_path):
    told = json.loads(pyoms("status", "--desk", stopped, "--json").stdout)
    assert told["tier"] in ("memory", "process", "disk")
    desk = tmp_path / "noisy"
    shutil.copytree(stopped, desk)
    (desk / "control").write_text("noise")
    ran = pyoms("status", "--desk", desk)
    assert ran.returncode == 0
    assert ran.stdout.split().count("halt") == 1
    assert "open" not in ran.stdout.split()
    assert "is no control file" in ran.stdout
