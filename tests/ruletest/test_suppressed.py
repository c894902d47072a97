"""Rule tests and what is suppressed: told as the daemon would tell it, and not counted before."""

from dataclasses import replace

import pytest

from monitor.engine.deliver import Destination
from monitor.engine.suppress import Suppressor
from monitor.model.group import Hush
from monitor.ruletest.inbox import Inbox
from tests.builders import NOON, seconds
from tests.fakes import RecordingChannel
from tests.ruletest.test_inbox import heard_alike, life
from tests.ruletest.test_ruletest import CONFIG, HOT, folder, holds, ran  # noqa: F401 - fixtures

BEGUN, OVER = NOON + seconds(90), NOON + seconds(260)


async def hushing(_group, entries, now):
    """All of what is called a in the middle of the story."""
    hush = Hush("silenced", BEGUN, OVER, "maria", "moving")
    return {one.id: hush for one in entries if one.rule == "a"} if BEGUN <= now < OVER else {}


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_suppressed_in_a_rule_test_is_what_the_daemon_suppresses(store, clock, seed):
    history = {second: replace(row, entry=_ended(row.entry, second)) for second, row in life(seed).items()}
    suppress = Suppressor((hushing,))
    inbox, destination = Inbox(suppress=suppress), Destination("ops", RecordingChannel(), suppress=suppress)

    arrived = await heard_alike(store, clock, history, inbox, destination)

    assert not [one for one in arrived if one[2] == "a" and 90 <= one[0] < 260]


def _ended(entry, second):
    at = NOON + seconds(second)
    return replace(entry, started_at=at, resolved_at=at if entry.status == "resolved" else None)


STORY = f"""
    start: 2026-11-20T12:00:00Z
    account: {HOT}
    series: {{available/USDT: "300 50x29 300x9"}}
"""
SILENCE = "silences: [{match: {account: hot}, starts_at: 2026-11-20T12:00:00Z, ends_at: WHEN, author: m, comment: x}]\n"


def heard(ran, folder, *kinds, config=""):  # noqa: F811
    (folder / "config.yaml").write_text(CONFIG.replace("repeat_interval: 5m", "repeat_interval: 5h") + config)
    holds(ran(f"{STORY}expect_notifications: [{{channel: ops, alert: Low, kinds: [{', '.join(kinds)}]}}]"))


@pytest.mark.parametrize(
    ("ends_at", "kinds"),
    [
        ("2026-11-20T12:02:00Z", ["firing", "resolved"]),
        ("2026-11-20T12:20:00Z", ["firing", "resolved"]),
        ("2026-11-20T12:45:00Z", []),
        ("2026-12-20T12:00:00Z", []),
    ],
)
def test_case_09_a_rule_test_honours_the_silences_of_the_configuration(ran, folder, ends_at, kinds):  # noqa: F811
    heard(ran, folder, *kinds, config=SILENCE.replace("WHEN", ends_at))


def test_a_rule_test_knows_when_a_silence_is_lifted(ran, folder):  # noqa: F811
    silence = SILENCE.replace("WHEN", "2026-12-20T12:00:00Z")
    lifting = silence.replace("comment: x", "comment: x, unless: {measure: available, below: 60}")

    # Who heard of it in the silence also hears how it ends.
    heard(ran, folder, "firing", "resolved", config=lifting)
    heard(ran, folder, config=lifting.replace("60", "10"))


def test_case_08_a_rule_test_honours_the_times_of_routes(ran, folder):  # noqa: F811
    times = 'time_intervals: {lunch: [{times: ["13:00-13:15"], location: Europe/Malta}]}\n'
    muted = "  routes: [{match: {rule: Low}, mute: [lunch]}]"
    config = CONFIG.replace("  routes: [{match: {rule: Stale}, channels: [quiet], group_wait: 0s}]", muted) + times
    (folder / "config.yaml").write_text(config.replace("repeat_interval: 5m", "repeat_interval: 5h"))

    holds(ran(f"{STORY}expect_notifications: [{{channel: ops, alert: Low, kinds: [firing, resolved]}}]"))
