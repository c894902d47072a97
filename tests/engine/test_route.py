import pytest
from pydantic import ValidationError

from monitor.engine.escalate import Step
from monitor.engine.route import Route, compile_route
from tests.builders import minutes, seconds

CHANNELS = ("ops", "chat", "pager", "traders")
LOW = {
    "rule": "HotWalletLow", "rule_type": "low_balance", "severity": "critical", "provider": "casino",
    "account": "hot-usdt", "asset": "USDT", "role": "hot",
}  # fmt: skip


def told(labels, **route):
    return [target.channel for target in compile_route(Route.model_validate(route), CHANNELS)(labels)]


def test_without_a_route_every_alert_goes_to_every_channel():
    targets = compile_route(None, CHANNELS)(LOW)

    assert [target.channel for target in targets] == list(CHANNELS)
    assert {(t.wait, t.interval, t.repeat) for t in targets} == {(seconds(10), minutes(1), minutes(240))}
    assert targets[0].labels == {"rule": "HotWalletLow", "provider": "casino"}


@pytest.mark.parametrize(
    ("severity", "rule", "channels"),
    [
        pytest.param("critical", "HotWalletLow", ["ops", "pager"], id="the first child that matches takes it"),
        pytest.param("info", "HotWalletLow", ["chat"], id="what no child takes stays with the root"),
        pytest.param("info", "Liquidated", ["traders"], id="a glob"),
        pytest.param("critical", "Liquidated", ["ops", "pager"], id="a sibling after a match is not asked"),
    ],
)
def test_the_deepest_match_wins(severity, rule, channels):
    routes = [
        {"match": {"severity": "critical"}, "channels": ["ops", "pager"]},
        {"match": {"rule": "Liquidat*"}, "channels": ["traders"]},
    ]

    assert told({**LOW, "severity": severity, "rule": rule}, channels=["chat"], routes=routes) == channels


def test_continue_also_asks_the_siblings_after_it():
    routes = [
        {"match": {"rule": "Hot*"}, "channels": ["traders"], "continue": True},
        {"match": {"severity": ["warning", "critical"]}, "channels": ["ops"]},
        {"match": {"severity": "critical"}, "channels": ["pager"]},
    ]

    assert told(LOW, channels=["chat"], routes=routes) == ["traders", "ops"]


def test_continue_into_nothing_does_not_fall_back_to_the_parent():
    routes = [{"match": {"rule": "Hot*"}, "channels": ["traders"], "continue": True}]

    assert told(LOW, channels=["chat"], routes=routes) == ["traders"]


def test_a_grandchild_is_deeper_and_inherits_what_it_does_not_say():
    inner = {"match": {"role": "hot"}, "group_wait": "0s"}
    routes = [{"match": {"severity": "critical"}, "channels": ["ops"], "repeat_interval": "15m", "routes": [inner]}]
    route = Route.model_validate({"channels": ["chat"], "group_interval": "5m", "routes": routes})

    [target] = compile_route(route, CHANNELS)(LOW)

    assert target.channel == "ops"
    assert (target.wait, target.interval, target.repeat) == (seconds(0), minutes(5), minutes(15))


def test_groups_differ_by_route_and_labels_and_not_by_time_or_order_of_the_file():
    by_rule = {"match": {"severity": "critical"}, "group_by": ["rule"], "continue": True}
    by_team = {"match": {"role": "hot"}, "group_by": ["rule", "team"]}

    def groups(*routes, **labels):
        route = Route.model_validate({"channels": ["ops"], "routes": routes})
        return [target.group for target in compile_route(route, CHANNELS)({**LOW, **labels})]

    first, second = groups(by_rule, by_team)
    assert first != second, "the same channel by two routes is two groups"
    assert groups({**by_team, "continue": True}, by_rule) == [second, first]
    assert groups(by_rule, by_team, account="other") == [first, second]
    assert groups(by_rule, by_team, rule="Other") != [first, second]


def test_one_channel_reached_twice_the_same_way_is_told_once():
    assert told(LOW, channels=["ops", "ops"]) == ["ops"]


def test_three_dots_group_by_every_label():
    router = compile_route(Route(channels=("ops",), group_by=("...",)), CHANNELS)

    [one], [other] = router(LOW), router({**LOW, "asset": "BTC"})

    assert one.group != other.group
    assert one.labels == LOW


def test_a_label_that_is_missing_or_empty_is_no_part_of_the_group():
    router = compile_route(Route(channels=("ops",), group_by=("rule", "team", "asset")), CHANNELS)

    [target] = router({**LOW, "asset": ""})

    assert target.labels == {"rule": "HotWalletLow"}


def test_every_mistake_of_a_tree_is_named_with_its_place():
    route = Route.model_validate(
        {
            "channels": ["chatt"],
            "match": {"a": "b"},
            "routes": [{"routes": [{"channels": ["ops", "nowhere"]}]}],
        }
    )

    assert [path for path, _ in route.mistakes(CHANNELS)] == [
        ("match",),
        ("channels", 0),
        ("routes", 0, "routes", 0, "channels", 1),
    ]
    assert not list(Route(channels=("ops",)).mistakes(CHANNELS))


def test_times_are_a_child_s_and_exist():
    wrong = Route.model_validate(
        {"mute": ["nights"], "active": ["nights"], "routes": [{"mute": ["nights", "nigths"], "active": ["weekend"]}]}
    )

    assert list(wrong.mistakes(CHANNELS, ["nights"])) == [
        (("mute",), "the root route takes every alert at any time; put it into one of its `routes`"),
        (("active",), "the root route takes every alert at any time; put it into one of its `routes`"),
        (("routes", 0, "mute", 1), "there is no 'nigths' in `time_intervals`, did you mean 'nights'?"),
        (("routes", 0, "active", 0), "there is no 'weekend' in `time_intervals`"),
    ]


def test_a_root_that_names_no_channel_is_a_mistake():
    assert [path for path, _ in Route(channels=()).mistakes(CHANNELS)] == [("channels",)]


@pytest.mark.parametrize("wrong", [{"repeat_interval": "0s"}, {"active": []}, {"group_wait": "10"}])
def test_refuses_what_it_cannot_mean(wrong):
    with pytest.raises(ValidationError):
        Route.model_validate(wrong)


TREASURY = {
    "treasury": (Step(after="10m", channels=("pager",)), Step(after="30m", channels=("traders", "pager", "chat"))),
    "night": (Step(after="5m", channels=("ops",)),),
}


class TestEscalation:
    @staticmethod
    def routed(labels=LOW, **route):
        targets = compile_route(Route.model_validate(route), CHANNELS, TREASURY)(labels)
        return [(target.channel, target.after) for target in targets]

    def test_its_steps_come_after_those_who_are_told_at_once_and_tell_nobody_twice(self):
        assert self.routed(channels=["chat"], escalate="treasury") == [
            ("chat", None), ("pager", minutes(10)), ("traders", minutes(30)),
        ]  # fmt: skip

    def test_children_inherit_it_replace_it_or_end_it(self):
        routes = [
            {"match": {"severity": "info"}, "escalate": ""},
            {"match": {"severity": "warning"}, "escalate": "night"},
            {"match": {"severity": "critical"}},
        ]

        told = {
            level: self.routed({**LOW, "severity": level}, channels=["chat"], escalate="treasury", routes=routes)[1:]
            for level in ("info", "warning", "critical")
        }

        assert told == {
            "info": [],
            "warning": [("ops", minutes(5))],
            "critical": [("pager", minutes(10)), ("traders", minutes(30))],
        }  # fmt: skip

    def test_where_several_routes_take_an_alert_the_sooner_step_tells(self):
        routes = [
            {"match": {"rule": "*"}, "continue": True, "channels": ["chat"], "escalate": "treasury"},
            {"match": {"rule": "*"}, "channels": ["pager"], "escalate": "night"},
        ]

        assert self.routed(routes=routes) == [
            ("chat", None), ("pager", None), ("ops", minutes(5)), ("traders", minutes(30)),
        ]  # fmt: skip

    def test_a_step_has_a_group_of_its_own(self):
        def groups(**route):
            targets = compile_route(Route(channels=("chat",), **route), CHANNELS, TREASURY)(LOW)
            return {target.channel: target.group for target in targets}

        def pager(after):
            escalations = {"treasury": (Step(after=after, channels=("pager",)),)}
            [_, step] = compile_route(Route(channels=("chat",), escalate="treasury"), CHANNELS, escalations)(LOW)
            return step.group

        told_at_once = compile_route(Route(channels=("pager",)), CHANNELS)(LOW)[0].group
        assert len({told_at_once, pager("10m"), pager("20m"), groups(escalate="treasury")["traders"]}) == 4
        assert pager("10m") == groups(escalate="treasury")["pager"], "whatever stands beside it"


FAILING = {"rule": "NotificationFailing", "rule_type": "self", "severity": "warning", "provider": "", "account": ""}


class TestFailingChannel:
    def told(self, fallback=None, failing="chat", every=CHANNELS, **route):
        router = compile_route(Route.model_validate(route), every, {}, fallback)
        return [target.channel for target in router({**FAILING, "channel": failing})]

    @pytest.mark.parametrize(
        ("settings", "channels"),
        [
            pytest.param({"channels": ["chat", "pager"], "fallback": "ops"}, ["pager", "ops"], id="never there"),
            pytest.param({"channels": ["chat", "ops"], "fallback": "ops"}, ["ops"], id="the fallback hears it once"),
            pytest.param(
                {"channels": ["chat", "ops"], "fallback": "ops", "failing": "ops"}, ["chat"],
                id="the fallback itself is failing",
            ),
            pytest.param(
                {"channels": ["chat"], "fallback": "ops", "failing": "pager"}, ["chat", "ops"], id="the usual and it"
            ),
            pytest.param(
                {
                    "channels": ["pager", "chat"],
                    "routes": [{"match": {"rule_type": "self"}, "channels": ["chat"]}],
                },
                ["pager"], id="without a fallback the root's others",
            ),
            pytest.param({"channels": ["chat"]}, ["ops", "pager", "traders"], id="without those any other"),
            pytest.param({"channels": ["chat", "pager"]}, ["pager"], id="the root's others are enough"),
            pytest.param({"every": ("chat",)}, [], id="there is no other"),
        ],
    )  # fmt: skip
    def test_who_hears_of_it(self, settings, channels):
        assert self.told(**settings) == channels

    @pytest.mark.parametrize(
        ("fallback", "told"),
        [
            pytest.param("pager", {"pager": None}, id="who is told at once is not told later as well"),
            pytest.param("ops", {"ops": None, "pager": minutes(10)}, id="the others later"),
            pytest.param(None, {"ops": None, "pager": None, "traders": None}, id="somebody is told at once"),
        ],
    )
    def test_an_escalation_makes_nobody_wait_or_hear_it_twice(self, fallback, told):
        later = {"later": (Step(after="10m", channels=("pager",)),)}
        router = compile_route(Route(channels=("chat",), escalate="later"), CHANNELS, later, fallback)
        found = router({**FAILING, "channel": "chat"})

        assert len(found) == len(told)
        assert {target.channel: target.after for target in found} == told

    def test_other_alerts_do_not_go_to_the_fallback(self):
        router = compile_route(Route(channels=("chat",)), CHANNELS, {}, "ops")

        assert [target.channel for target in router(LOW)] == ["chat"]
