"""Every file we show people is read, and every plug-in is registered and shown."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from monitor.channels import CHANNELS
from monitor.commands.checks import schema
from monitor.config import load
from monitor.demo.settings import CONFIG, RULES
from monitor.providers import PROVIDERS
from monitor.rules import RULES as RULE_TYPES

ROOT = Path(__file__).parents[1]
RULE_TESTS = sorted((ROOT / "rules" / "tests").glob("*.yaml"))
EXAMPLE = ROOT / "config.example.yaml"
#: Files in a plug-in folder that are parts of plug-ins, not plug-ins.
PARTS = {
    "providers": {"base", "http", "answers", "price_feed", "times", "tokens"},
    "channels": {"answers", "base", "http", "payload", "poster", "refs", "singly", "text", "words"},
    "rules": {
        "aggregate", "balance", "base", "ceiling", "contributors", "event_gap", "facts", "flow", "flow_sums",
        "happening", "levels", "life", "mistakes", "price_missing", "reported", "samples", "sandbox", "self_alert",
        "templates", "transit", "unseen", "words", "yardstick", "lateness", "flow_words",
    },
}  # fmt: skip
REGISTERED = {
    "providers": set(PROVIDERS),
    "channels": set(CHANNELS),
    "rules": set(RULE_TYPES),
}


def types_in(path):
    shown = yaml.safe_load(path.read_text("utf-8"))
    found = [rule["type"] for rule in shown.get("rules", []) if isinstance(rule, dict)]
    for section in ("providers", "channels"):
        found += [part["type"] for part in shown.get(section, {}).values()]
    return set(found)


def test_the_example_configuration_has_no_mistake_and_no_warning():
    config = load(EXAMPLE, secrets=False)

    assert config.warnings == ()
    assert {rule.type for rule in config.rules} == REGISTERED["rules"], "an example of every rule type"


@pytest.mark.parametrize("what", ["config", "rules", "tests"])
def test_an_editor_that_knows_the_schema_finds_nothing_wrong_in_the_examples(what):
    files = {
        "config": [EXAMPLE, ROOT / "deploy" / "config.yaml"],
        "rules": sorted((ROOT / "rules").glob("*.yaml")),
        "tests": RULE_TESTS,
    }[what]

    wrong = [error.json_path for path in files for error in editor(what).iter_errors(yaml.safe_load(path.read_text()))]

    assert wrong == []
    assert len(files) >= 2


def test_an_editor_that_knows_the_schema_takes_one_value_for_a_list_and_marks_a_slip():
    hook = {"type": "webhook", "url": {"env": "URL"}}
    channels = {
        "plain": hook,
        "one": {**hook, "secret": {"env": "A"}, "rate_limit": {"requests": 1, "per": "1s"}},
        "several": {**hook, "secret": [{"env": "A"}, {"file": "b"}]},
        "three": {**hook, "secret": [{"env": "A"}] * 3},
        "slip": {**hook, "secrets": {"env": "A"}},
    }

    wrong = {error.absolute_path[1] for error in editor("config").iter_errors({"version": 1, "channels": channels})}

    assert wrong == {"three", "slip"}


def editor(what):
    document = schema(what)
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


@pytest.mark.parametrize("section", ["providers", "channels"])
def test_every_registered_plug_in_is_in_the_example_configuration(section):
    assert REGISTERED[section] <= types_in(EXAMPLE)


@pytest.mark.parametrize("folder", PARTS)
def test_every_plug_in_file_is_registered(folder):
    files = {path.stem for path in (ROOT / "monitor" / folder).glob("[a-z]*.py")} - PARTS[folder]
    # A plug-in that needs more than one file names them all after itself.
    plug_ins = {name for name in files if not any(name.startswith(f"{other}_") for other in files)}

    assert plug_ins == REGISTERED[folder]


@pytest.mark.parametrize("path", sorted((ROOT / "rules").glob("*.yaml")), ids=lambda path: path.name)
def test_every_rule_file_says_what_it_is_for(path):
    assert path.read_text("utf-8").startswith("#")
    assert types_in(path)


def test_what_the_examples_are_said_to_do_they_do():
    ended = subprocess.run(
        [sys.executable, "-m", "monitor", "test", *RULE_TESTS], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert ended.stdout.endswith("tests, all passed\n")


def test_every_example_rule_has_a_test():
    files = sorted((ROOT / "rules").glob("*.yaml"))
    written = [rule["alert"] for path in files for rule in yaml.safe_load(path.read_text("utf-8"))["rules"]]
    tested = "".join(path.read_text("utf-8") for path in RULE_TESTS)

    assert [path.name for path in RULE_TESTS] == [path.name for path in files]
    assert [name for name in written if f"alert: {name}," not in tested] == []


def test_the_demo_runs_on_a_configuration_without_mistakes(tmp_path):
    places = {"bank": "http://127.0.0.1:1", "chat": "http://127.0.0.1:2", "api": 8787}
    text = CONFIG.format(secret="whsec_ZGVtby1zZWNyZXQtZm9yLWxvb3BiYWNr", **places)
    (tmp_path / "config.yaml").write_text(text, "utf-8")
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")

    config = load(tmp_path / "config.yaml")

    assert all("plain text" in warning for warning in config.warnings)


def test_an_editor_knows_the_two_forms_of_a_rule_test_apart():
    one = {"account": {"name": "a", "provider": "bank"}, "series": {"total/USDT": "5 refusedx3 _"}}
    several = {"accounts": [{"name": "a", "provider": "bank", "series": {"total/USDT": 5}}], "prices": {"BTC": "6 _x2"}}
    stories = {
        "one": one,
        "several": several,
        "both": {**one, **several},
        "mixed": {**several, "series": one["series"]},
        "half": {"account": one["account"]},
        "neither": {},
        "a slip": {**several, "prices": {"BTC": "error"}},
    }

    wrong = {
        name
        for name, story in stories.items()
        if not editor("tests").is_valid({"rules": ["x"], "tests": [{"name": "a story", **story}]})
    }

    assert wrong == stories.keys() - {"one", "several"}
