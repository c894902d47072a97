"""`silence add`, `list` and `expire`, and what `status` says of silences."""

import json
import re

import pytest

from tests.commandline import live
from tests.commands.test_commands import folder, in_store, outside, run  # noqa: F401 - fixtures
from tests.facts import policy, rule


def added(run, *words):  # noqa: F811
    code, out, err = run("silence", "add", *words, "--author", "maria", "--comment", "key rotation", "--json")
    assert code == 0, err
    return json.loads(out)


def listed(run, *words):  # noqa: F811
    return json.loads(run("silence", "list", "--json", *words)[1])["items"]


def test_a_silence_is_made_listed_and_ended(run):  # noqa: F811
    made = added(run, "account=hot", "rule=Liq*", "rule=Low*", "--for", "2h", "--unless", "equity<50000")

    assert made["match"] == {"account": "hot", "rule": ["Liq*", "Low*"]}
    assert (made["author"], made["unless"]) == ("maria", {"measure": "equity", "below": "50000"})
    assert (made.pop("matches"), made.pop("warnings")) == (0, ["no rule is 'Liq*' or 'Low*'"])
    assert listed(run) == [made]
    code, out, err = run("silence", "expire", made["id"])
    assert (code, err) == (0, "")
    assert out.startswith(f"{made['id']}: ended at ")
    assert listed(run) == []
    [kept] = listed(run, "--all")
    assert (kept["id"], kept["state"]) == (made["id"], "expired")


def test_for_machines_its_end_is_the_silence_as_it_is_then(run):  # noqa: F811
    made = added(run, "account=hot", "--for", "2h")

    code, out, _ = run("silence", "expire", made["id"], "--json")

    assert (code, json.loads(out)["id"], json.loads(out)["state"]) == (0, made["id"], "expired")


def test_for_people_a_table_says_it_all(run):  # noqa: F811
    code, out, _ = run("silence", "add", "account=[hot]", "--for", "1d", "--author", "maria", "--comment", "moving")

    assert code == 0
    assert re.fullmatch(r"sil_[0-9a-f]{20}: silenced until \S+Z; matches no alerts that fire now\n", out)
    table = run("silence", "list")[1]
    assert out.partition(":")[0] in table
    assert "account=[hot" in table
    assert "moving" in table


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["account:hot", "--for", "1h"], "write it like account=hedge"),
        (["account=hot"], "needs either --for or --until"),
        (["account=hot", "--for", "1h", "--until", "2026-12-01T06:00:00Z"], "needs either --for or --until"),
        (["account=hot", "--for", "soon"], "--for: 'soon' is not a duration"),
        (["account!=hot", "--for", "1h"], "there is no !=, values are plain or globs"),
        (['account=~"h.*"', "--for", "1h"], "there is no =~, values are plain or globs"),
        (["account!~h.*", "--for", "1h"], "there is no !~, values are plain or globs"),
        (['account="hot"', "--for", "1h"], "these quotes would be part of the value"),
        (["account=hot", "--until", "2026-12-01T06:00:00"], "a time with its zone"),
        (["account=hot", "--for", "1h", "--unless", "equity=5"], 'write it like "equity<50000"'),
        (["account=hot", "--for", "1h", "--unless", "equty<5"], "--unless measure: there is no measure 'equty'"),
    ],
)
def test_what_is_not_sound_is_refused_in_one_line(run, words, said):  # noqa: F811
    code, out, err = run("silence", "add", *words, "--author", "maria", "--comment", "x")

    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_an_empty_reason_is_none(run):  # noqa: F811
    words = ("silence", "add", "account=hot", "--for", "1h", "--author", "maria", "--comment", "")

    assert run(*words) == (2, "", "--comment: must not be empty\n")


@pytest.mark.parametrize(
    ("matcher", "said"),
    [
        ("acount=hot", "warning: no alert has the label 'acount', did you mean 'account'?\n"),
        ("account=hto", "warning: no account is 'hto' (cold, hot)\n"),
        ("channel=ops", ""),
        ("drill=true", ""),
    ],
)
def test_a_silence_that_can_never_match_is_made_with_a_warning(run, matcher, said):  # noqa: F811
    code, out, err = run("silence", "add", matcher, "--for", "1h", "--author", "maria", "--comment", "x")

    assert (code, err) == (0, said)
    assert "silenced until" in out


def test_an_end_that_there_is_not(run, folder):  # noqa: F811
    said = "silences: [{match: {account: hot}, ends_at: 2099-01-01T00:00:00Z, author: maria, comment: key rotation}]\n"
    config = folder / "config.yaml"
    config.write_text(config.read_text() + said)
    [filed] = listed(run)

    assert filed["source"] == "file"
    assert run("silence", "expire", filed["id"])[0] == 2
    code, out, err = run("silence", "expire", "sil_x")
    assert (code, out) == (1, "")
    assert err.startswith("there is no silence 'sil_x'; `balance-monitor silence list` has them")


def test_case_55_status_lists_silences_that_match_nothing_or_end_soon(run, folder):  # noqa: F811
    config = folder / "config.yaml"
    config.write_text(
        config.read_text()
        + "silences:\n"
        + "  - {match: {account: cold}, starts_at: 2025-01-01T00:00:00Z, ends_at: 2099-01-01T00:00:00Z,"
        + " author: joe, comment: for ever}\n"
    )
    added(run, "account=hot", "--for", "30m")

    report = json.loads(run("status", "--json")[1])
    remarks = {one["author"]: one["remarks"] for one in report["silences"]}
    assert remarks == {
        "joe": ["matches nothing", "older than seven days"],
        "maria": ["matches nothing", "ends within an hour"],
    }
    said = (
        r"silence sil_\w+ of maria \(key rotation\): account=hot: until \S+ \S+Z, matches nothing, ends within an hour"
    )
    assert re.search(said, run("status")[1])


class TestWithAlertsThatFire:
    @pytest.fixture(autouse=True)
    def _firing(self, run, folder, valkey_server):  # noqa: F811
        (folder / "rules.yaml").write_text("rules: [{alert: Low, type: low_balance, below: 100}]")
        config = folder / "config.yaml"
        config.write_text(config.read_text() + "rules: [rules.yaml]\n")
        low = rule("low_balance", alert="Low", below=100)

        async def poll(store):
            for name, total in (("hot", "50"), ("cold", "5")):
                clock = store.clock_override
                await live(store, clock, [(0, {"USDT": total})], rules=(low,), policy=policy("ops"), account=name)

        in_store(valkey_server.url, poll)

    def test_who_silences_is_told_how_many_it_matches_now(self, run):  # noqa: F811
        words = ("--for", "2h", "--author", "maria", "--comment", "x")

        assert "; matches 2 alerts that fire now" in run("silence", "add", "rule=Low", *words)[1]
        assert "; matches 1 alert that fires now" in run("silence", "add", "account=hot", *words)[1]

    def test_status_says_what_each_holds_and_which_is_lifted(self, run):  # noqa: F811
        added(run, "rule=Low", "--for", "2h", "--unless", "total<10")
        added(run, "account=hot", "--for", "3h")

        report = json.loads(run("status", "--json")[1])["silences"]
        assert [(one["matches"], one["holds"], one["lifted"]) for one in report] == [(2, 1, 1), (1, 1, 0)]
        out = run("status")[1]
        assert "rule=Low unless total<10: until 2" in out
        assert "holds 1 firing alert, lifted by `unless` for 1\n" in out
        assert out.count("holds 1 firing alert\n") == 1


def test_check_warns_of_one_that_has_ended(run, folder):  # noqa: F811
    config = folder / "config.yaml"
    said = "silences: [{match: {account: hot}, ends_at: 2025-01-01T00:00:00Z, author: maria, comment: key rotation}]\n"
    config.write_text(config.read_text() + said)

    out = run("check")[1]

    assert "warning: silences: that of maria (key rotation) ended at 2025-01-01T00:00:00Z, remove it\n" in out
