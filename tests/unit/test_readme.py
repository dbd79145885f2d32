"""The README says what is: its example runs, and its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from typer.main import get_command

from pyoms import commands

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_the_ten_lines_of_the_readme_run_and_print_what_their_comments_say():
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block
    promised = re.findall(r"^print.*?  # (.*)$", block[1], re.MULTILINE)
    run = subprocess.run(
        [sys.executable, "-c", block[1]], check=True, capture_output=True, text=True
    )
    assert len(promised) == 3
    assert run.stdout.splitlines() == promised


def test_every_command_of_the_readme_is_one_of_the_program():
    told = set(re.findall(r"`pyoms ([\w-]+)", README))
    known = set(get_command(commands.app).commands)  # type: ignore[attr-defined]
    assert told <= known, told - known
    assert {"demo", "run", "status", "kill", "release", "replay", "bench", "doctor"} <= told
