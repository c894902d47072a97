"""Rule tests that say what time it is in them."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.errors import ConfigError
from monitor.ruletest.cases import load
from monitor.ruletest.report import run_tests
from monitor.ruletest.run import run

RULES = "rules: [{alert: Big, type: large_outflow, above: 40}]"
CONFIG = """\
version: 1
providers:
  bank: {type: cryptofuse, auth: {api_key: {env: NOT_SET}}, accounts: {hot: {wallet_id: "1"}}}
time_intervals: {friday: [{times: ["08:00-12:00"], weekdays: [fri], location: Europe/Malta}]}
expected_transfers: [{name: payroll, account: hot, asset: USDT, up_to: 50, active: [friday]}]
channels: {ops: {type: webhook, url: {env: NOT_SET}}}
route: {channels: [ops]}
rules: []
"""
STORY = """tests:
  - name: a story
    account: {name: hot, provider: bank}
    series: {total/USDT: "100x3 40x3"}
"""
FRIDAY, THURSDAY = "2026-11-20T07:30:00Z", "2026-11-19T07:30:00Z"


@pytest.fixture
def written(tmp_path):
    def write(*, head="", test="", kinds=""):
        (tmp_path / "rules.yaml").write_text(RULES)
        (tmp_path / "config.yaml").write_text(CONFIG)
        path = tmp_path / "t.yaml"
        told = f"    expect_notifications: [{{channel: ops, alert: Big, kinds: [{kinds}]}}]\n"
        above, inside = f"start: {head}\n" if head else "", f"    start: {test}\n" if test else ""
        path.write_text(f"rules: [rules.yaml]\n{above}{STORY}{inside}{told}")
        return path

    return write


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        pytest.param({}, "event", id="a Thursday where nothing is said"),
        pytest.param({"test": FRIDAY}, "", id="of the test"),
        pytest.param({"head": FRIDAY}, "", id="of the file"),
        pytest.param({"head": FRIDAY, "test": THURSDAY}, "event", id="a test's own goes before the file's"),
        pytest.param({"test": "2026-11-20T08:30:00+01:00"}, "", id="with an offset"),
        pytest.param({"test": f'"{FRIDAY}"'}, "", id="quoted"),
    ],
)
def test_what_goes_by_the_clock_goes_by_the_start(written, settings, kinds, capsys):
    assert run_tests([written(kinds=kinds, **settings)], None, as_json=False) == 0, capsys.readouterr().out


def test_a_timeline_says_what_was_expected_of_a_movement(written, capsys):
    run_tests([written(kinds="event", test=FRIDAY)], None, as_json=False)

    assert "50 of 60 USDT expected by payroll" in capsys.readouterr().out


def test_the_times_of_a_story_count_from_its_start(written):
    [case] = load([written(kinds="", test=FRIDAY)], None)

    assert case.start == datetime(2026, 11, 20, 7, 30, tzinfo=UTC)
    assert [at for at, _ in run(case, lambda: None).readings] == [timedelta(0), timedelta(minutes=3)]


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("2026-11-20", "'2026-11-20' is no moment"),
        ("2026-11-20T07:30:00", "'2026-11-20T07:30:00' is no moment"),
        ("2026-11-31T07:30:00Z", "'2026-11-31T07:30:00Z' is in no calendar"),
        ("9999-12-31T23:00:00-09:00", "'9999-12-31T23:00:00-09:00' is in no calendar"),
        ("9000-01-01T00:00:00Z", "'9000-01-01T00:00:00Z' is too far from today"),
        ("yes", "'yes' is no moment"),
        ("7", "'7' is no moment"),
    ],
)
@pytest.mark.parametrize("place", ["head", "test"])
def test_a_start_is_a_moment(written, start, said, place):
    with pytest.raises(ConfigError) as error:
        load([written(kinds="", **{place: start})], None)

    [mistake] = error.value.mistakes
    where = "t.yaml:2: start: " if place == "head" else "t.yaml:6: tests[0].start: "
    assert mistake.endswith(f"{where}{said}, write a date and time with its offset: 2026-11-20T09:00:00Z")
