"""What went wrong in other systems, publicly, and the test that shows that it cannot here.

One line each: what happened, where it can be read, and which tests fail when it happens here. Whoever learns of another
one adds it, with a test of its own.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

#: What happened → where, and the tests: file and name.
FAILURES = {
    "429 from a chat was final, and the alert lost": (
        "prometheus/alertmanager#2111, #2205, #5496; SigNoz/signoz#12891",
        [
            ("engine/test_outages.py", "test_case_41_a_429_is_waited_out_to_the_second_by_its_channel_alone_and"),
            ("channels/test_faults.py", "test_every_fault_is_told_for_what_it_is"),
        ],
    ),
    "429 was retried at once and blindly, which risks a ban": (
        "prometheus/alertmanager#2128",
        [
            ("engine/test_outages.py", "test_case_41_a_429_is_waited_out_to_the_second_by_its_channel_alone_and"),
            ("engine/test_outages.py", "test_a_destination_that_asks_again_and_again_and_takes_nothing_is_failing"),
            ("engine/test_ladder.py", "test_no_wait_at_all_is_not_taken_for_a_prescription"),
        ],
    ),
    "a few failures among many successes disabled an endpoint": (
        "docs.svix.com/retries and frain-dev/convoy say why theirs do not",
        [("engine/test_outages.py", "test_a_few_failures_among_many_successes_change_nothing")],
    ),
    "a chat that was away came back to sixty repeats": (
        "louislam/uptime-kuma#6046",
        [("engine/test_outages.py", "test_case_40_after_an_hour_the_chat_hears_the_present_state_once_and_every")],
    ),
    "an alert was marked as sent as soon as one of its channels had it": (
        "ElastAlert 2, elastalert.py",
        [("engine/test_outages.py", "test_case_44_of_two_channels_only_the_failed_one_is_told_again")],
    ),
    "the end of an alert that failed to be sent was forgotten": (
        "TwiN/gatus watchdog/alerting.go",
        [("engine/test_outages.py", "test_case_45_an_end_that_fails_to_arrive_is_tried_until_it_does")],
    ),
    "a webhook that was removed failed for ever, and nobody was told": (
        "checkly/public-roadmap#200",
        [("e2e/test_failing_channel.py", "test_case_47_a_webhook_that_was_removed_is_told_elsewhere")],
    ),
    "marked as sent before it was, and lost in a crash": (
        "healthchecks/healthchecks#212",
        [("test_crash_delivery.py", "test_no_crash_loses_what_is_owed")],
    ),
    "the URL of a webhook was in the log": (
        "prometheus/alertmanager#1822, DependencyTrack/dependency-track#1160, spinnaker/spinnaker#3663",
        [
            ("channels/test_faults.py", "test_every_fault_is_told_for_what_it_is"),
            ("channels/test_http.py", "test_no_failure_names_the_url"),
        ],
    ),
    "a message too long for Discord was refused, and the alert lost": (
        "prometheus/alertmanager#3310, #3460",
        [
            ("channels/test_discord.py", "test_messages_at_the_limits_are_taken"),
            ("channels/test_discord.py", "test_no_label_breaks_a_limit_mentions_anybody_or_links_anywhere"),
        ],
    ),
    "an address of a carrier's network passed for a public one": (
        "changedetection.io, GHSA-gwph-fp79-379w",
        [("test_egress.py", "test_private_addresses_are_refused_only_on_demand")],
    ),
    "a name resolved to another address when it was dialled than when it was checked": (
        "langchain-ai/open-swe#1186",
        [("test_egress.py", "test_a_refused_address_gets_no_socket_and_a_permitted_one_does")],
    ),
    "what could not be resolved was let through": (
        "n24q02m/better-telegram-mcp#79",
        [("channels/test_http.py", "test_no_failure_names_the_url")],
    ),
    "an answer too long to be logged made its message fail for ever": (
        "hookdeck/outpost",
        [
            ("channels/test_http.py", "test_of_a_long_answer_only_the_beginning_is_kept"),
            ("channels/test_http.py", "test_an_endless_answer_ends_with_us"),
        ],
    ),
}


@cache
def names_in(file):
    tree = ast.parse((TESTS / file).read_text())
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("what", FAILURES)
def test_each_failure_of_others_has_tests_that_are_there(what):
    where, tests = FAILURES[what]

    assert where
    assert tests
    for file, name in tests:
        assert any(found.startswith(name) for found in names_in(file)), f"{file} has no {name}"
