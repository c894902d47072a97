"""What the README says is what the code does."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from monitor.cli import app
from tests.reference import README, rewritten

TEXT = README.read_text("utf-8")


def test_the_reference_is_what_the_models_say():
    assert rewritten(TEXT) == TEXT, "run `python tests/reference.py`"


@pytest.mark.parametrize("command", [command.name or command.callback.__name__ for command in app.registered_commands])
def test_every_command_is_in_the_readme(command):
    assert f"`balance-monitor {command}" in TEXT


def test_every_file_the_readme_names_exists():
    named = set(re.findall(r"\]\((?!https?:|#)([^)#]+)\)", TEXT))

    assert named
    assert [name for name in named if not (README.parent / name).exists()] == []


def test_ci_runs_the_readmes_test_command():
    [command] = re.findall(r"^(python3 -m venv .*pytest)$", TEXT, re.MULTILINE)

    assert "README.md" in Path(".ci/run").read_text("utf-8") or command in Path(".ci/run").read_text("utf-8")


def test_every_log_line_that_the_readme_explains_is_written_somewhere():
    [table] = re.findall(r"\| the log says .*?\n\n", TEXT, re.DOTALL)
    explained = set(re.findall(r"`([a-z]+\.[a-z_]+)`", re.sub(r"\|[^|]*\|[^|]*\|\n", "|\n", table)))
    source = "".join(path.read_text("utf-8") for path in Path("monitor").rglob("*.py"))

    assert len(explained) > 10
    assert [event for event in explained if f'"{event}"' not in source] == []


def test_the_commands_and_their_words_are_those_that_people_have_learnt():
    """They stand in scripts and crontabs: a name that changes breaks them."""
    commands = get_command(app).commands
    silence = commands.pop("silence").commands

    assert set(commands) == {
        "run", "demo", "check", "schema", "test", "backtest", "drill", "poll", "status", "explain", "why", "send-test",
        "ack", "deliveries", "replay",
    }  # fmt: skip
    assert set(silence) == {"add", "list", "expire"}
