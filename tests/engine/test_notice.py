"""How an alert is put into words."""

from monitor.engine.watch import checkups
from monitor.model.record import Health, Record
from monitor.rules.templates import labels_of
from tests.builders import NOON, minutes
from tests.facts import Watched, account, answer, event, rule, snapshot

LABELLED = {"labels": {"team": "treasury", "role": "hot"}}


def only(watched):
    [(_, _, entry)] = watched.told
    return entry


def low(**settings):
    return rule("low_balance", below=50, **settings)


def test_an_alert_says_where_it_is_and_what_was_seen():
    entry = Watched((low(severity="critical"),)).reads("100 40").told[0][2]

    assert (entry.provider, entry.account, entry.asset, entry.measure) == (
        "casino",
        "hot-usdt",
        "USDT",
        "available",
    )
    assert (entry.value, entry.previous, entry.threshold, entry.unit) == (40, 100, 50, "USDT")
    assert (entry.status, entry.severity, entry.started_at) == ("firing", "critical", NOON + minutes(1))
    assert "hot-usdt USDT" in entry.annotations["summary"]


def test_a_resolved_alert_says_since_when_and_why():
    entry = Watched((low(),)).reads("40 100").told[1][2]

    assert (entry.status, entry.started_at, entry.resolved_at, entry.reason) == (
        "resolved", NOON, NOON + minutes(1), "recovered",
    )  # fmt: skip


def test_the_rules_labels_stand_over_the_accounts():
    watched = Watched((low(labels={"role": "float"}),), account=account(labels={"team": "a", "role": "hot"}))

    assert only(watched.reads("40")).labels == {"team": "a", "role": "float"}


def test_routes_match_the_labels_of_every_alert_whatever_the_account_calls_itself():
    watched = Watched((low(),), account=account(labels={"severity": "none", "account": "x"}))

    assert labels_of(only(watched.reads("40"))) == {
        "rule": "Tested", "rule_type": "low_balance", "severity": "warning",
        "provider": "casino", "account": "hot-usdt", "asset": "USDT",
    }  # fmt: skip


def test_annotations_see_the_alert():
    said = low(annotations={"summary": "{{ account }} has {{ value | amount }} of {{ labels.role }}"})
    watched = Watched((said,), account=account(labels={"role": "hot"}))

    assert only(watched.reads("40")).annotations["summary"] == "hot-usdt has 40 of hot"


def test_an_alert_whose_rule_was_removed_says_so():
    watched = Watched((low(),)).reads("40")
    watched.rules = ()
    watched.reads("40")

    assert watched.told[1][2].annotations == {"summary": "Tested is no longer configured"}


def test_an_event_is_told_with_all_that_is_known_of_it():
    watched = Watched((rule("event", **LABELLED),))
    moved = event("12", at=NOON - minutes(43), late=True, reference="0xabc", name="e9")
    watched.see(answer(snapshot({"USDT": "1"}), events=(moved,)), NOON)

    entry = only(watched)
    assert (entry.status, entry.event, entry.value, entry.started_at) == (
        "event",
        moved,
        12,
        moved.occurred_at,
    )
    assert entry.labels == LABELLED["labels"]
    assert "late" in entry.annotations["summary"]


def test_a_provider_is_named_by_its_own_name_and_is_no_account():
    [pseudo] = checkups([account()]).values()
    watched = Watched((rule("provider_down"),), account=pseudo, record=Record(account=pseudo.name))
    watched.see(Health(at=NOON, noted_at=NOON, refused_at=NOON, why="401"), NOON)

    entry = only(watched)
    assert (entry.provider, entry.account, entry.asset) == ("casino", "", None)
