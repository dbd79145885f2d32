"""The commands: exit codes, JSON alone under ``--json``, and never a traceback for bad input."""

import json
from pathlib import Path

import pytest

from pyoms import cli, commands

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
