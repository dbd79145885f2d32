"""The commands: exit codes, JSON alone under ``--json``, and never a traceback for bad input."""

import json
from pathlib import Path

import pytest

from pyoms import cli, commands
from pyoms.demo import desk as demo_desk
from pyoms.demo import main as demo_main

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "desk.toml")


def run(capsys, *args):
    with pytest.raises(SystemExit) as done:
        cli.main(args)
    told = capsys.readouterr()
    return done.value.code, told.out, told.err


@pytest.mark.parametrize("args", [("config", "check", EXAMPLE), ("doctor",)])
def test_json_is_one_object_alone(capsys, args):
    code, out, err = run(capsys, *args, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["ok"] is True
    code, out, _ = run(capsys, *args)
    assert code == 0
    assert out


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["sell"], "usage", "No such command 'sell'"),
        (["config", "chek"], "usage", "No such command 'chek'"),
        (["config", "check"], "usage", "Missing argument"),
        (["config", "check", EXAMPLE, "--jsn"], "usage", "No such option"),
        (["config", "check", "nowhere.toml"], "config", "nowhere.toml: cannot be read"),
        (["config", "check", "/"], "config", "Is a directory"),
        (["doctor", "--ring-mib", "many"], "usage", "valid integer"),
        (["kill", "--mode", "open"], "kill", "invalid choice"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_code_2(capsys, args, code, told):
    exit_code, out, err = run(capsys, *args, "--json")
    assert (exit_code, err) == (2, "")
    error = json.loads(out)["error"]
    assert error["code"] == code
    assert told in error["message"]
    exit_code, out, err = run(capsys, *args)
    assert (exit_code, out) == (2, "")
    assert err.startswith("error: ")


def test_no_arguments_print_the_help(capsys):
    code, out, _ = run(capsys)
    assert code == 0
    assert "Usage: pyoms" in out


def test_every_verb_takes_json():
    def callbacks(app):
        yield from (command.callback for command in app.registered_commands)
        for group in app.registered_groups:
            yield from callbacks(group.typer_instance)

    for callback in callbacks(commands.app):
        if callback.__name__ != "kill":  # told by argparse, see test_kill
            assert "as_json" in callback.__annotations__, callback.__name__


def test_a_relative_desk_of_the_demo_is_one_place_for_every_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert demo_main.place(Path("relative")) == tmp_path.resolve() / "relative"


def test_a_demo_without_a_venue_link_ends_in_a_sentence(monkeypatch, capsys):
    class Unlinked:
        def status(self):
            return {"published_seq": 0}

        def turn(self):
            return None

        def replay(self, seq):
            assert seq == 0

    life = object.__new__(demo_desk.Life)
    life.life, life.desk, life.dispatcher = "kill", Unlinked(), Unlinked()
    seconds = iter(range(0, 1_000, 10))
    monkeypatch.setattr(demo_desk.time, "monotonic", lambda: next(seconds))
    with pytest.raises(SystemExit, match="no first turn within 30 s"):
        life.run()
    assert json.loads(capsys.readouterr().out)["say"] == "open"
