"""Breaches that never were: what they say, whom they reach, and how they end."""

import pytest

from monitor.engine.acknowledge import acknowledge_alert
from monitor.engine.decide import Policy
from monitor.engine.drill import (
    DRILL_ACCOUNT,
    DRILLS,
    DRILLS_MAX,
    DrillRefusedError,
    Scene,
    begin,
    end,
    end_overdue,
    find,
    staged,
    worst_level,
)
from monitor.engine.route import Route, compile_route
from monitor.model.alert import fingerprint
from monitor.rules import RULES
from tests.builders import NOON, minutes, seconds
from tests.facts import account, policy, rule
from tests.lives import RULES as EVERY_KIND
from tests.lives import catalogue

HOT = account(labels={"role": "hot"}, assets=("BTC",))
LOW = rule("low_balance", below=100)
TO_OPS = policy("ops").route


def scene(what=LOW, level=None, at=HOT, minutes_long=5, now=NOON):
    return Scene(what, at, level or worst_level(what), now, now + minutes(minutes_long))


def summary(what, **told):
    _, row = staged(scene(what, **told), TO_OPS)
    return row.entry.annotations["summary"]


@pytest.mark.parametrize("what", [*EVERY_KIND, rule("provider_down", alert="Down")], ids=lambda one: one.alert)
def test_every_rule_can_be_drilled_and_says_what_it_would_say_marked_as_a_drill(what):
    alert, row = staged(scene(what), TO_OPS)
    entry = row.entry

    assert entry.annotations["summary"].startswith("DRILL: ")
    assert "template_error" not in entry.annotations
    assert not [
        word for word in ("no longer", "but only lately", "None", "some-") if word in entry.annotations["summary"]
    ]
    assert (entry.status, entry.labels["drill"], row.news, entry.event) == ("firing", "true", "firing", None)
    assert (alert.id, alert.fingerprint) == (entry.id, entry.fingerprint)
    assert alert.fingerprint != fingerprint(what.alert, HOT.name, alert.subject), "no other alert's name"


def test_every_type_of_rule_is_among_those():
    assert {one.type for one in (*catalogue(), rule("provider_down", alert="Down"))} | {"high_balance"} >= set(RULES)


def test_a_rule_s_own_templates_and_labels_are_used():
    own = rule(
        "low_balance",
        below=100,
        labels={"team": "treasury"},
        annotations={
            "summary": "{{ account }} of {{ labels.role }} has {{ value }}",
            "book": "https://x/{{ asset }}",
        },
    )
    _, row = staged(scene(own), TO_OPS)

    assert row.entry.annotations == {"summary": "DRILL: hot-usdt of hot has 412.50", "book": "https://x/BTC"}
    assert row.entry.labels == {"role": "hot", "team": "treasury", "drill": "true"}


def test_a_template_that_fails_on_the_account_s_labels_is_found_by_the_drill():
    own = rule("low_balance", below=100, annotations={"summary": "{{ labels.desk }} is low"})
    _, row = staged(scene(own), TO_OPS)

    assert "labels.desk" in row.entry.annotations["template_error"] or row.entry.annotations["template_error"]


def test_the_level_is_the_rule_s_worst_unless_another_is_asked_for():
    rising = rule("high_balance", levels={"warning": {"above": 10}, "critical": {"above": 20}})

    assert (worst_level(rising), worst_level(LOW)) == ("critical", "warning")
    assert staged(scene(rising, "info"), TO_OPS)[1].entry.severity == "info"


def test_a_sum_names_only_what_it_tells_apart():
    total = rule("low_balance", below=100, aggregate={"by": ["asset"]})
    entry = staged(scene(total), TO_OPS)[1].entry

    assert (entry.account, entry.provider, entry.asset, entry.labels) == ("", "", "BTC", {"drill": "true"})


def test_a_drill_goes_where_a_real_alert_would_and_waits_in_no_group_of_real_ones():
    route = Route.model_validate(
        {
            "channels": ["chat"],
            "routes": [
                {"match": {"severity": "critical"}, "channels": ["pager"], "continue": True},
                {"match": {"drill": "true"}, "channels": ["drills"]},
            ],
        }
    )
    router = compile_route(route, ("chat", "pager", "drills"))
    _, row = staged(scene(rule("low_balance", below=1, severity="critical")), router)
    real = {target.group for target in router({"severity": "critical", "rule": "Tested", "provider": "casino"})}

    assert [target.channel for target in row.targets] == ["pager", "drills"]
    assert real.isdisjoint(target.group for target in row.targets)
    assert all(target.labels["drill"] == "true" for target in row.targets)


async def owed(store, channel="ops"):
    groups = await store.claim_groups(channel, 10, seconds(30))
    return [(item.news, item.entry.id, item.entry.reason) for group in groups for item in group.news]


async def test_a_drill_is_owed_like_any_alert_and_ends_once(store, clock):
    alert, _ = await begin(store, scene(), TO_OPS)
    clock.pass_(seconds(10))
    [(news, name, _)] = await owed(store)
    assert (news, name) == ("firing", alert.id)
    assert await store.open_accounts() == [DRILLS]
    assert await end(store, alert.id, clock())
    assert not await end(store, alert.id, clock())

    assert await store.open_accounts() == []
    assert await find(store, alert.id) is None


async def test_it_can_be_acknowledged_and_its_end_says_by_whom(store, clock):
    alert, _ = await begin(store, scene(), TO_OPS)
    known = {DRILLS: DRILL_ACCOUNT}
    found = await acknowledge_alert(store, known.get, alert.id, "maria", "seen", clock)
    assert found.alert.acked.by == "maria"
    clock.pass_(seconds(90))
    await end(store, alert.id, clock())
    [group] = await store.claim_groups("ops", 10, seconds(30))

    ended = group.news[-1].entry
    assert (ended.status, ended.reason) == ("resolved", "drill_over")
    assert ended.annotations["summary"] == "DRILL: over after 90 s, acknowledged by maria"
    assert (ended.account, ended.provider, ended.labels["drill"]) == ("hot-usdt", "casino", "true")


async def test_one_whose_command_is_gone_ends_by_itself_and_others_go_on(store, clock):
    short, _ = await begin(store, scene(minutes_long=1), TO_OPS)
    long, _ = await begin(store, scene(rule("low_balance", alert="Other", below=1), minutes_long=9), TO_OPS)
    before = await end_overdue(store, clock())
    clock.pass_(minutes(1))
    ended = await end_overdue(store, clock()), await end_overdue(store, clock())

    assert (before, ended) == (0, (1, 0))
    assert await find(store, short.id) is None
    assert await find(store, long.id) is not None


async def test_a_rule_has_one_drill_at_a_time_and_all_have_few(store):
    await begin(store, scene(), TO_OPS)
    with pytest.raises(DrillRefusedError, match="a drill of it is running"):
        await begin(store, scene(), TO_OPS)
    for number in range(DRILLS_MAX - 1):
        await begin(store, scene(rule("low_balance", alert=f"R{number}", below=1)), TO_OPS)

    with pytest.raises(DrillRefusedError, match="20 drills are running"):
        await begin(store, scene(rule("low_balance", alert="One", below=1)), TO_OPS)


async def test_the_next_drill_of_a_rule_is_another_episode_of_the_same_alert(store, clock):
    first, _ = await begin(store, scene(), TO_OPS)
    await end(store, first.id, clock())
    second, _ = await begin(store, scene(now=NOON + seconds(1)), TO_OPS)

    assert (first.fingerprint == second.fingerprint, first.id == second.id) == (True, False)


def test_nobody_is_told_where_no_route_leads():
    assert staged(scene(), Policy(route=lambda _: (), tolerance=minutes(1)).route)[1].targets == ()


async def test_one_that_nobody_ended_keeps_no_other_from_beginning(store, clock):
    """Its command was killed, and no daemon has run since."""
    lost, _ = await begin(store, scene(), TO_OPS)
    clock.pass_(minutes(6))
    await begin(store, scene(now=clock()), TO_OPS)

    assert await find(store, lost.id) is None
