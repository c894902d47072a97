"""What the README says is what the code does."""

import re
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command

from monitor.api.guard_models import HOLD_ID, SOURCE
from monitor.api.guard_read import BODY_MAX
from monitor.api.problems import PROBLEMS
from monitor.api.routes import ROUTES
from monitor.cli import app
from monitor.config.guard_settings import GuardSettings, HoldTtl
from monitor.guard import units
from monitor.guard.hold import HOLDS_MAX, State
from monitor.guard.reasons import REASONS
from monitor.model.watch import WATCHES_MAX
from monitor.store import functions
from tests.api.conformance import check
from tests.api.test_signing import VECTORS
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


# The pre-bet guard

GUARD = re.findall(r"^## The pre-bet guard\n.*?(?=^## )", TEXT, re.DOTALL | re.MULTILINE)[0]


def rows_of(heading):
    """The rows of the first table below a heading of the guard's chapter, each as its cells."""
    table = re.findall(rf"^### {heading}\n.*?^(\|.*?)\n\n", GUARD, re.DOTALL | re.MULTILINE)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_reasons_of_the_guard_are_listed_in_the_order_in_which_they_count():
    assert [row[0] for row in rows_of("Why it says no")] == [f"`{reason}`" for reason in REASONS]


def test_every_state_of_a_hold_has_its_row():
    named = [word for row in rows_of("The life of a hold") for word in re.findall(r"`(\w+)`", row[0])]

    assert sorted(named) == sorted(get_args(State))


def test_every_problem_that_the_guards_chapter_names_has_the_status_it_says():
    named = set(re.findall(r"\b([45]\d\d) `([a-z-]+)`", GUARD))

    assert len(named) > 10
    assert {(int(status), name) for status, name in named} <= {(kind.status, name) for name, kind in PROBLEMS.items()}


def test_every_default_that_the_guards_chapter_names_is_the_one_there_is():
    """`posting_delay` (10 s)"""
    said = re.findall(r"`(\w+)` \((\d+) (ms|s|min|h)\)", GUARD)
    lengths = {"ms": timedelta(milliseconds=1), "s": timedelta(seconds=1), "min": timedelta(minutes=1)}
    lengths["h"] = timedelta(hours=1)

    assert len(said) > 5
    assert {name: int(number) * lengths[unit] for name, number, unit in said} == {
        name: getattr(GuardSettings(), name) for name, _, _ in said
    }


def test_the_limits_that_the_guards_chapter_names_are_those_there_are():
    table = GUARD.partition("### Sizes and limits")[2]
    ttl, guard = HoldTtl(), GuardSettings()
    [locks] = re.findall(r"^local LOCKS_MAX = (\d+)$", functions.source(), re.MULTILINE)
    ids = next(limit.le for limit in GuardSettings.model_fields["hold_ids"].metadata if hasattr(limit, "le"))

    assert f"| {units.WIDTH - units.SCALE} digits and {units.SCALE} decimals;" in table
    assert f"| {HOLD_ID.rpartition(',')[2][:-2]} · {SOURCE.rpartition(',')[2][:-2]} characters |" in table
    assert f"| {locks} sources;" in table
    assert f"| `hold_ttl.max`, {ttl.max // timedelta(minutes=1)} min, at most a day;" in table
    assert f"| `max_holds`, {guard.max_holds};" in table
    assert f"may be {HOLDS_MAX:,}".replace(",", " ") in table
    assert f"| {BODY_MAX // 1024} kB |" in table
    assert f"| `hold_ids`, {guard.hold_ids // timedelta(hours=1)} h, at most {ids.days} days," in table
    assert f"| {WATCHES_MAX:,} |".replace(",", " ") in table


def test_the_quarantine_that_the_guards_chapter_names_is_the_one_there_is():
    lasts = GuardSettings().terms().quarantine

    assert f"({lasts // timedelta(minutes=1)} min {lasts.seconds % 60} s by default)" in GUARD


@pytest.mark.parametrize(("method", "target", "body", "published"), VECTORS)
def test_the_vectors_of_signatures_are_published(method, target, body, published):
    assert f"| `{method} {target}` | {f'`{body.decode()}`' if body else 'empty'} | `{published}` |" in GUARD


def test_the_settings_and_the_alerts_that_the_guards_chapter_names_exist():
    keys = set(re.findall(r"`guard\.(\w+)`", GUARD))
    alerts = set(re.findall(r"`(Guard[A-Z]\w+)`", GUARD))
    source = "".join(path.read_text("utf-8") for path in Path("monitor").rglob("*.py"))

    assert len(keys) > 3
    # One is what the log says.
    assert keys - {"decided"} <= set(GuardSettings.model_fields)
    assert [alert for alert in alerts if f'"{alert}"' not in source] == []


def test_the_decision_that_is_shown_is_one_that_the_api_may_answer():
    [shown] = re.findall(r"^```json\n(.*?)^```", GUARD, re.DOTALL | re.MULTILINE)

    check("PUT", "/v1/holds/bet-42", 201, "application/json", shown.encode())


def test_every_path_of_the_api_is_in_the_readme():
    assert [route.path for route in ROUTES if route.path not in TEXT] == []
