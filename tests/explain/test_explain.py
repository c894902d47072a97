"""`explain`: what a rule reads, how old that is, its verdict, its alert, and what would change them."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import structlog
import yaml

from monitor.engine.pricing import PriceBook, Static
from monitor.engine.watch import account_of_checkup, account_of_sum
from monitor.explain.facts import Asking
from monitor.explain.subject import explained
from monitor.model.alert import opened
from monitor.model.record import Health, Record
from monitor.model.snapshot import MEASURES
from monitor.rules import RULES
from monitor.rules.facts import Checkup
from tests import commandline
from tests.builders import NOON, minutes, seconds
from tests.facts import account, answer, event, outage, policy, rule, snapshot

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    written
    for path in sorted((ROOT / "rules").glob("*.yaml"))
    for written in yaml.safe_load(path.read_text("utf-8"))["rules"]
]
EVERYTHING = dict.fromkeys(MEASURES, "100")
BOOK = PriceBook([Static({"USDT": Decimal(1)})])


async def part(store, clock, asked, readings=(), *, rules=None, who=None, lived=None):
    """What a rule makes of an account that has read this (minutes → reading), now being the last of it."""
    await commandline.live(store, clock, readings, rules=(asked,) if rules is None else rules, policy=lived or policy())
    clock.now += minutes(readings[-1][0]) if readings else minutes(0)
    asking = Asking(store, asked, BOOK, clock())
    return await asking.part(who or account("hot", provider="bank", assets=("USDT",)))


async def subject(store, clock, asked, readings=(), **settings):
    [one] = (await part(store, clock, asked, readings, **settings)).subjects
    return one


def test_every_rule_type_has_an_example_to_explain():
    assert {written["type"] for written in EXAMPLES} == set(RULES)


@pytest.mark.parametrize("written", EXAMPLES, ids=lambda written: written["alert"])
async def test_every_rule_can_be_explained(store, clock, written):
    asked = rule(written["type"], **{key: value for key, value in written.items() if key != "type"})
    hot = account("hot", provider="bank")
    who = account_of_checkup("bank", minutes(1)) if asked.judges_provider else hot
    if asked.spans:
        who = account_of_sum(asked.alert, {"hot": hot})
    read = {asset: dict(EVERYTHING) for asset in (asked.assets or ("USDT",))}
    lost = {asset: {**EVERYTHING, "total": "40", "available": "40", "equity": "40"} for asset in read}

    for readings in ([], [(0, read)], [(0, read), (1, lost)], [(0, read), (1, outage(clock() + minutes(1)))]):
        told = await part(store, clock, asked, readings, rules=() if who is not hot else None, who=who)

        if asked.about() == "event":
            assert told.tried is not None
        elif readings and who is hot:
            assert {one.verdict for one in told.subjects} <= {"good", "bad", "unknown"}
            assert told.subjects
            assert all(one.why or one.verdict != "unknown" for one in told.subjects)


async def test_what_is_good_tells_how_far_from_bad_it_is(store, clock):
    low = rule("low_balance", levels={"warning": {"below": "250"}, "critical": {"below": "80"}}, for_="2m")

    one = await subject(store, clock, low, [(0, {"USDT": "300"})])

    assert (one.verdict, one.value, one.inputs, one.alert) == ("good", 300, {"available": 300}, None)
    assert one.changes == (
        "fires as warning below 250 USDT, for 2m: 50 USDT less",
        "fires as critical below 80 USDT, for 2m: 220 USDT less",
    )


async def test_what_fires_tells_what_would_end_it_and_what_would_make_it_worse(store, clock):
    levels = {"warning": {"below": "250", "resolve_above": "300"}, "critical": {"below": "80"}}
    low = rule("low_balance", levels=levels, keep_firing_for="10m")

    one = await subject(store, clock, low, [(0, {"USDT": "200"}), (1, {"USDT": "280"})])

    assert (one.verdict, one.level, one.why) == ("bad", "warning", "it has not recovered")
    assert one.alert.state == "firing"
    assert one.changes == (
        "rises to critical below 80 USDT: 200 USDT less",
        "resolves above 300 USDT, for 10m: 20 USDT more",
    )


async def test_what_fires_rises_at_once_and_what_does_not_has_to_last(store, clock):
    levels = {"warning": {"below": "250"}, "critical": {"below": "80"}}
    low = rule("low_balance", levels=levels, for_="1m")

    one = await subject(store, clock, low, [(0, {"USDT": "200"}), (1, {"USDT": "200"})])

    assert one.alert.state == "firing"
    assert one.changes[0] == "rises to critical below 80 USDT: 120 USDT less"


@pytest.mark.parametrize(
    ("noted", "fires", "why"),
    [
        (0, False, "polls have failed for 1m, not long enough yet: timed out"),
        (0, True, "polls have failed for 1m, the last one was noted 0s ago: timed out"),
        (300, False, "polls have failed for 6m, the last one was noted 5m ago: timed out"),
    ],
)
def test_a_provider_that_fires_is_not_said_to_fail_not_long_enough(noted, fires, why):
    down, at = rule("provider_down"), NOON - seconds(noted)
    facts = Checkup(NOON, "casino", seconds(60), Health(at, at, failing_since=at - minutes(1), why="timed out"))
    alert = opened(down.alert, down.type, "casino", "", 0, "warning", NOON)

    told = explained(down, "", None, facts, Record("casino", alerts=(alert,) if fires else ()), "")

    assert told.why == why


async def test_an_alert_that_waits_tells_how_long_it_has(store, clock):
    low = rule("low_balance", below="250", for_="2m")

    one = await subject(store, clock, low, [(0, {"USDT": "200"}), (1, {"USDT": "200"})])

    assert (one.verdict, one.alert.state, one.alert.waited) == ("bad", "pending", minutes(1))
    assert one.changes == ("is good at 250 USDT: 50 USDT more",)


@pytest.mark.parametrize(
    ("asked", "reading", "why"),
    [
        (rule("low_balance", below="1"), {}, "it was never read"),
        (rule("low_balance", below="1"), {"USDT": {"total": "5"}}, "the answer did not tell `available`"),
        (
            rule("low_balance", below="1", assets=["USDT", "BTC"], unit="usd"),
            {"BTC": "5", "USDT": "5"},
            "it has no price: no source has it",
        ),
        (rule("runway", below="24h"), {"USDT": "5"}, "too little is known of the past yet"),
    ],
)
async def test_the_unknown_has_a_reason(store, clock, asked, reading, why):
    told = await part(store, clock, asked, [(0, reading)])

    assert [one.why for one in told.subjects if one.verdict == "unknown"] == [why]


async def test_an_asset_that_left_the_answer_is_unknown_and_its_age_is_told(store, clock):
    low = rule("low_balance", below="100")
    gone = answer(snapshot({"BTC": "1"}, at=clock() + minutes(5), missing=("USDT",), why="not in the answer"))

    told = await part(store, clock, low, [(0, {"USDT": "200", "BTC": "1"}), (5, gone)])

    one = next(one for one in told.subjects if one.subject == "USDT")
    assert (one.verdict, one.data, one.read_at) == ("unknown", "stale", clock() - minutes(5))
    assert one.why == "not in the last answer; last read 5m ago"


async def test_during_an_outage_the_last_good_reading_speaks_and_is_flagged(store, clock):
    readings = [(0, {"USDT": "200"}), (1, outage(clock() + minutes(1)))]

    told = await part(store, clock, rule("low_balance", below="250"), readings)

    [one] = told.subjects
    assert (told.trouble, one.verdict, one.data) == ("unreachable: timed out", "bad", "error")


async def test_a_silent_account_is_judged_by_its_outage(store, clock):
    readings = [(0, {"USDT": "200"}), (1, outage(clock() + minutes(1))), (9, outage(clock() + minutes(9)))]

    one = await subject(store, clock, rule("stale", after="5m"), readings)

    assert (one.verdict, one.value, one.alert.state) == ("bad", 540, "firing")
    assert one.changes == ("resolves at 5m: 4m less",)


async def test_a_window_is_read_at_this_moment_and_to_the_event(store, clock):
    out = rule("large_outflow", above="50", within="1h")
    await commandline.live(store, clock, [(0, {"USDT": "200"}), (10, {"USDT": "120"})], rules=(out,), policy=policy())

    for minute, expected in ((10, ("bad", 80)), (69.9, ("bad", 80)), (70, ("good", 0))):
        asking = Asking(store, out, BOOK, clock() + minutes(minute))
        [one] = (await asking.part(account("hot", provider="bank"))).subjects
        assert (one.verdict, one.value) == expected


async def test_a_rule_on_events_is_tried_on_the_stored_ones(store, clock):
    moved = [event(amount, at=clock() + minutes(1), name=amount) for amount in ("5", "60", "70")]
    readings = [(0, answer({"USDT": "200"}, events=())), (1, answer({"USDT": "65"}, events=tuple(moved)))]

    told = await part(store, clock, rule("large_outflow", above="50"), readings, rules=())

    assert (told.tried.events, [one.value for one in told.tried.told]) == (3, [60, 70])


async def test_sums_are_intervals_while_a_member_is_unknown(store, clock):
    total = rule("low_balance", below="150", aggregate={"by": ["asset"]})
    members = {name: account(name, provider="bank", assets=("USDT",)) for name in ("hot", "cold")}

    one, *_ = (
        await part(store, clock, total, [(0, {"USDT": "100"})], rules=(), who=account_of_sum("T", members))
    ).subjects

    assert (one.verdict, one.low, one.high) == ("unknown", 100, None)

    await commandline.live(store, clock, [(0, {"USDT": "60"})], account="cold")
    [one] = (await Asking(store, total, BOOK, clock()).part(account_of_sum("T", members))).subjects
    assert (one.verdict, one.value) == ("good", 160)


CONFIG = """\
version: 1
store: {{url: "{store}"}}
providers:
  bank:
    type: kuna
    base_url: http://127.0.0.1:9
    auth: {{api_key: canary-key}}
    accounts:
      hot: {{wallet_id: hot, assets: [USDT], labels: {{role: hot}}}}
      cold: {{wallet_id: cold, assets: [USDT], labels: {{role: cold}}}}
channels:
  ops: {{type: webhook, url: "http://127.0.0.1:9/canary-hook"}}
rules: [rules.yaml]
"""
RULES_FILE = """\
rules:
  - {alert: HotWalletLow, type: low_balance, match: {role: hot}, below: 80_000, resolve_above: 100_000}
  - {alert: Low, type: low_balance, below: 250}
  - {alert: Down, type: provider_down}
  - {alert: Total, type: low_balance, below: 250, aggregate: {by: [role, asset]}}
"""


@pytest.fixture
def run(tmp_path, valkey_server, monkeypatch, capfd):
    with valkey_server.client() as client:
        client.flushall()
    (tmp_path / "config.yaml").write_text(CONFIG.format(store=valkey_server.url))
    (tmp_path / "rules.yaml").write_text(RULES_FILE)
    monkeypatch.chdir(tmp_path)

    def command(*words):
        code, out, err = commandline.run(monkeypatch, capfd, "explain", *words)
        assert "canary" not in out + err
        return code, out, err

    yield command
    structlog.reset_defaults()


def test_people_read_it_in_a_few_lines(run, valkey_server):
    commandline.past(valkey_server.url, {"hot": [(0, {"USDT": "92000"})]}, ago=timedelta(seconds=20))

    code, out, err = run("HotWalletLow", "hot")

    assert (code, err) == (0, "")
    assert "HotWalletLow (low_balance): match: {role: hot}, below: 80000, resolve_above: 100000" in out
    assert "it judges 1 account: hot" in out
    assert "hot USDT: good" in out
    assert "reads available 92,000, 2" in out
    assert "fires as warning below 80,000 USDT: 12,000 USDT less" in out


def test_a_sum_goes_by_its_labels_and_tells_what_it_is_made_of(run, valkey_server):
    commandline.past(valkey_server.url, {"hot": [(0, {"USDT": "92"})]}, ago=seconds(20))

    _, out, _ = run("Total")

    assert "\nUSDT of role=hot: bad (warning)\n" in out
    assert "\n  made of hot 92\n" in out
    assert "\nUSDT of role=cold: unknown, because what is not known could make it either\n" in out
    assert "\n  made of missing: cold\n" in out
    assert "aggregate:Total" not in out


def test_machines_get_all_of_it_with_amounts_as_strings(run, valkey_server):
    low = rule("low_balance", alert="Low", below="250")
    commandline.past(valkey_server.url, {"hot": [(0, {"USDT": "92"})]}, ago=seconds(20), rules=(low,))

    code, out, _ = run("Low", "--json")

    told = json.loads(out)
    hot, cold = told["parts"]
    assert (code, told["matches"]) == (0, {"count": 2, "first": ["hot", "cold"]})
    [one] = hot["subjects"]
    assert (one["value"], one["thresholds"], one["inputs"]) == ("92", {"warning": "250"}, {"available": "92"})
    assert (one["alert"]["state"], one["alert"]["for_ms"], one["level"]) == ("firing", 0, "warning")
    assert 20_000 <= one["age_ms"] < 60_000
    assert [each["why"] for each in cold["subjects"]] == ["it was never read"]


def test_an_account_that_nobody_reads_any_more_is_said_so(run, valkey_server):
    commandline.past(valkey_server.url, {"hot": [(0, {"USDT": "92000"})]}, ago=timedelta(hours=1))

    assert "hot: nobody has read it for 1h" in run("HotWalletLow")[1]


def test_a_provider_is_explained_by_its_name_or_one_of_its_accounts(run):
    for words in (["Down"], ["Down", "bank"], ["Down", "hot"]):
        code, out, _ = run(*words)

        assert code == 0
        assert "bank: unknown, because no poll of this provider was ever noted" in out


def test_an_account_that_a_rule_does_not_match_is_told_why(run):
    code, out, _ = run("HotWalletLow", "cold")

    assert code == 0
    assert "it does not judge cold: `role` is cold, the rule wants hot" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["HotWalletLo"], "there is no rule 'HotWalletLo', did you mean 'HotWalletLow'?"),
        (["Low", "hott"], "there is no account 'hott', did you mean 'hot'?"),
        (["Down", "bnak"], "there is no provider 'bnak', did you mean 'bank'?"),
    ],
)
def test_a_slip_is_exit_2(run, words, said):
    code, out, err = run(*words)

    assert (code, out) == (2, "")
    assert said in err
