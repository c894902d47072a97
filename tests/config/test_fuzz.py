"""Whatever bytes a configuration holds, it is accepted or refused in words; it never crashes the reader."""

import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.config import Config, load
from monitor.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
TREE = yaml.safe_load(EXAMPLE.read_text("utf-8"))
RULES = [
    rule
    for path in sorted((EXAMPLE.parent / "rules").glob("*.yaml"))
    for rule in yaml.safe_load(path.read_text("utf-8"))["rules"]
]
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["5m", "25%", "1e400", "{{ x }}", "*/5 * * * *", "embedded:", "://", "[::1]:0", "\x00", "a" * 300]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


def outcome(config, rules=b"", csv=b""):
    """What loading these bytes comes to: a Config, or the lines that say why not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_bytes(config)
        Path(folder, "rules").mkdir()
        Path(folder, "rules", "a.yaml").write_bytes(rules)
        Path(folder, "players.csv").write_bytes(csv)
        try:
            return load(path, secrets=False, environment={})
        except ConfigError as error:
            return error.mistakes


def told(found):
    return isinstance(found, Config) or (bool(found) and all(line.isprintable() for line in found))


def places(value, path=()):
    """Every place in a tree."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def replaced(value, path, new):
    """The tree with another value at a place."""
    if not path:
        return new
    if isinstance(value, dict):
        return {key: replaced(item, path[1:], new) if key == path[0] else item for key, item in value.items()}
    return [replaced(item, path[1:], new) if index == path[0] else item for index, item in enumerate(value)]


def dumped(tree):
    return yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass")


@SLOW
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes(config, rules):
    assert told(outcome(config, rules))


@SLOW
@given(st.sampled_from(sorted(places(TREE), key=str)), VALUES)
def test_any_value_in_any_place_of_a_good_configuration(place, new):
    assert told(outcome(dumped(replaced(TREE, place, new))))


@SLOW
@given(st.sampled_from(RULES), st.data())
def test_any_value_in_any_place_of_a_good_rule(rule, data):
    place = data.draw(st.sampled_from(sorted(places(rule), key=str)))
    tree = {"rules": [replaced(rule, place, data.draw(VALUES))]}

    assert told(outcome(EXAMPLE.read_bytes(), dumped(tree)))


@SLOW
@given(st.one_of(st.binary(max_size=200), st.text('id,wallet_label.tier"\n\r;|', max_size=100).map(str.encode)))
def test_any_csv(csv):
    config = b"version: 1\nproviders: {a: {type: cryptofuse, auth: {api_key: k}, accounts_from: players.csv}}\n"

    assert told(outcome(config, csv=csv))


@pytest.mark.parametrize("number", ["1e400", "0.0000000000000000000000000000000000000000000000000000000001", "9" * 99])
def test_an_implausible_number_is_refused_wherever_an_amount_is_meant(number):
    rules = f"rules: [{{alert: A, type: low_balance, below: {number}}}]".encode()

    found = outcome(b"version: 1\n", rules)

    assert not isinstance(found, Config)
    assert Decimal(number)
