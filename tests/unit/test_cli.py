"""The commands: exit codes, JSON alone under ``--json``, and never a traceback for bad input."""

import json
from pathlib import Path
from typing import Any

import pytest

from pyoms import cli, commands, running
from pyoms.config import StrategyConfig
from pyoms.demo import desk as demo_desk
from pyoms.demo import main as demo_main
from pyoms.demo import proof as demo_proof
from pyoms.demo.strategies import Maker  # noqa: F401  made by its name below
from pyoms.errors import ConfigError
from pyoms.strategy import Strategy
from pyoms_core.layout import ONE

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

    life: Any = object.__new__(demo_desk.Life)
    life.life, life.desk, life.dispatcher = "kill", Unlinked(), Unlinked()
    seconds = iter(range(0, 1_000, 10))
    monkeypatch.setattr("pyoms.demo.desk.time.monotonic", lambda: next(seconds))
    with pytest.raises(SystemExit, match="no first turn within 30 s"):
        life.run()
    assert json.loads(capsys.readouterr().out)["say"] == "open"


class Plain(Strategy):
    """Takes no parameters."""


class Tuned(Strategy):
    """Takes one parameter."""

    def take_params(self, params):
        self.lots = int(params["lots"])


class Broken(Strategy):
    """Cannot be made."""

    def __init__(self, name, **_):
        raise RuntimeError(f"no luck with {name}")


def made(kind, **params):
    row = StrategyConfig(
        name="s", entry=f"{__name__}:{kind}", account="A", session="S", params=params
    )
    return running.strategy_of(row, "desk.toml")


# class       params            what is told
REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("Plain", {"lots": 2}, "Plain has no take_params, so lots would say nothing"),
    ("Tuned", {"lots": "x"}, "Tuned cannot be made: ValueError"),
    ("Tuned", {}, "Tuned cannot be made: KeyError"),
    ("Broken", {}, "Broken cannot be made: RuntimeError: no luck with s"),
    ("Maker", {"clip": 0}, "Maker cannot be made: ValueError: clip 0 is no whole number from 1 on"),
    ("Maker", {"clip": "2.5"}, "ValueError: clip 2.5 is no whole number from 1 on"),
    ("Maker", {"clip": 2.5}, "NumberError: clip 2.5 is a float"),
    ("Maker", {"clip": True}, "NumberError: clip True is a bool"),
    ("Maker", {"edge_ticks": -1}, "edge_ticks -1 is no number from 0 on"),
    ("Maker", {"edge": 1}, "edge is not one of clip, edge_ticks"),
    ("Missing", {}, "has no attribute 'Missing'"),
)


@pytest.mark.parametrize(("kind", "params", "told"), REFUSED)
def test_a_strategy_that_cannot_take_its_configuration_is_a_config_error(kind, params, told):
    with pytest.raises(ConfigError) as refused:
        made(kind, **params)
    assert told in str(refused.value)


def test_a_strategy_takes_its_configured_parameters():
    assert made("Tuned", lots=2).lots == 2
    assert isinstance(made("Plain"), Plain)
    maker = made("Maker", clip="5", edge_ticks=1)
    assert (maker.clip_qty, maker.edge_ticks) == (5 * ONE, 1)


# commands  minutes  holds  told
WORK = (
    (20_000, 0, True, "20,000 commands at the gate, at least 20,000"),
    (19_999, 0, False, "19,999 commands at the gate, at least 20,000"),
    (0, 0, False, "0 commands at the gate"),
    (2_000, 10, True, "exempt, 10 minutes alone"),
)


@pytest.mark.parametrize(("commands_seen", "minutes", "holds", "told"), WORK)
def test_a_whole_day_of_the_demo_needs_its_commands(commands_seen, minutes, holds, told):
    proof = demo_proof.Proof()
    demo_proof.enough_commands(proof, commands_seen, minutes)
    ((name, held, what),) = proof.lines
    assert (held, proof.failed) == (holds, [] if holds else [name])
    assert told in what
