"""Who is told, as far as `check` can tell from the names."""

import pytest

from monitor.config import audience
from monitor.engine.escalate import Step
from monitor.engine.route import Route

CHANNELS = ("chat", "ops", "pager")
TREASURY = {"treasury": (Step(after="10m", channels=("pager",)),)}


def found(checks, route=None, escalations=TREASURY, fallback=None, channels=CHANNELS):
    given = Route.model_validate(route) if route is not None else None
    return list(checks(given, escalations, fallback, channels))


def test_what_is_named_rightly_is_fine():
    route = {"channels": ["chat"], "escalate": "treasury", "routes": [{"match": {"rule": "x"}, "escalate": ""}]}

    assert found(audience.mistakes, route, fallback="ops") == []
    assert found(audience.doubts, route, fallback="ops") == []


@pytest.mark.parametrize(
    ("settings", "path", "what"),
    [
        (
            {"route": {"routes": [{"match": {"rule": "x"}, "escalate": "treasure"}]}},
            ("route", "routes", 0, "escalate"),
            "there is no escalation 'treasure', did you mean 'treasury'?",
        ),
        (
            {"route": {"escalate": "night"}, "escalations": {}},
            ("route", "escalate"),
            "there is no escalation 'night' (none is configured)",
        ),
        (
            {"escalations": {"treasury": (Step(after="10m", channels=("chat", "pagers")),)}},
            ("escalations", "treasury", 0, "channels", 1),
            "there is no channel 'pagers', did you mean 'pager'?",
        ),
        ({"fallback": "oops"}, ("fallback_channel",), "there is no channel 'oops', did you mean 'ops'?"),
        ({"fallback": "zz"}, ("fallback_channel",), "there is no channel 'zz' (chat, ops, pager)"),
    ],
)
def test_a_name_that_nothing_has_is_a_mistake(settings, path, what):
    assert found(audience.mistakes, **settings) == [(path, what)]


@pytest.mark.parametrize(
    ("settings", "path", "what"),
    [
        ({"route": {}}, ("escalations", "treasury"), "no route has `escalate: treasury`"),
        (
            {"fallback": "ops", "channels": ("ops",), "escalations": {}},
            ("fallback_channel",),
            "is the only channel: when it fails, nobody is told",
        ),
        (
            {"route": {"escalate": "treasury"}},
            ("route", "escalate"),
            "escalation 'treasury' tells nobody whom the route does not tell at once",
        ),
        (
            {
                "route": {
                    "channels": ["chat"], "escalate": "treasury",
                    "routes": [{"match": {"severity": "critical"}, "channels": ["pager"]}],
                }
            },
            ("route", "routes", 0, "channels"),
            "escalation 'treasury' tells nobody whom the route does not tell at once",
        ),
    ],
)  # fmt: skip
def test_what_tells_nobody_more_is_doubted(settings, path, what):
    assert found(audience.doubts, **settings) == [(path, what)]
