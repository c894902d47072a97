"""Every rule type is one file, one line in the union, and shown in an example that loads."""

import importlib
import pkgutil
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import monitor.rules
from monitor.config import yamlfile
from monitor.rules import RULES, AnyRule
from monitor.rules.base import RuleBase
from monitor.rules.self_alert import SelfRule
from tests.facts import rule

EXAMPLES = sorted((Path(__file__).parents[2] / "rules").glob("*.yaml"))
SCHEMA = TypeAdapter(AnyRule).json_schema(by_alias=True)


def written(path):
    return yamlfile.parse(path.read_bytes(), str(path)).value["rules"]


def test_every_file_with_a_rule_type_is_registered():
    found = set()
    for module in pkgutil.iter_modules(monitor.rules.__path__):
        loaded = importlib.import_module(f"monitor.rules.{module.name}")
        found |= {
            each
            for each in vars(loaded).values()
            if isinstance(each, type) and issubclass(each, RuleBase) and "type" in each.__annotations__
        }

    # What is built in has a type of its own that no file can write.
    assert found - {RuleBase, SelfRule} == set(RULES.values())


def test_the_union_and_the_table_agree():
    assert set(SCHEMA["discriminator"]["mapping"]) == set(RULES)
    for name, settings in RULES.items():
        assert settings.model_fields["type"].annotation.__args__ == (name,)


@pytest.mark.parametrize("rule_type", sorted(RULES))
def test_every_type_is_shown_in_an_example(rule_type):
    assert rule_type in {each["type"] for path in EXAMPLES for each in written(path)}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads(path):
    for each in written(path):
        loaded = TypeAdapter(AnyRule).validate_python(each)
        assert loaded.alert == each["alert"]


def test_no_two_examples_have_one_name():
    names = [each["alert"] for path in EXAMPLES for each in written(path)]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("settings", RULES.values(), ids=RULES)
def test_settings_are_frozen_and_strict_and_described(settings):
    assert settings.model_config["frozen"]
    assert settings.model_config["extra"] == "forbid"
    assert settings.__doc__


def test_rules_can_be_kept_in_sets():
    one = rule("low_balance", below=5, match={"role": ["hot"]}, labels={"team": "x"})

    assert len({one, rule("low_balance", below=5, match={"role": ["hot"]}, labels={"team": "x"})}) == 1


def test_a_rule_says_which_accounts_measures_and_kinds_it_is_about():
    low = rule("low_balance", below=5, match={"role": "h*"}, measure="held")
    flow = rule("large_outflow", above=5, kinds=["funding"])

    assert low.matches({"role": "hot"})
    assert not low.matches({"role": "cold"})
    assert (low.measures(), low.event_kinds()) == (("held",), ())
    assert (flow.measures(), flow.event_kinds()) == ((), ("funding",))
    assert rule("large_outflow", above="5%").measures() == ("total",)
    assert rule("event").event_kinds() == ()
    assert rule("liquidation").event_kinds() == ("market_liquidation", "backstop_liquidation")


@pytest.mark.parametrize("name", ["", "1st", "has space", "x" * 129, "Umläut"])
def test_a_name_is_an_identifier(name):
    with pytest.raises(ValueError, match="alert"):
        rule("stale", alert=name)
