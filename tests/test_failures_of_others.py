"""What went wrong in other systems, publicly, and the test that shows that it cannot here.

One line each: what happened, where it can be read, and which tests fail when it happens here. Whoever learns of another
one adds it, with a test of its own.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

#: What happened → where, and the tests: file and how the name begins.
FAILURES = {
    # a chat that does not take messages for a while
    "429 from a chat was final, and the alert lost": (
        "prometheus/alertmanager#2111, #3189, #2205, #5496; SigNoz/signoz#12891; yearn/monitoring#364; TwiN/gatus#1607",
        [
            "engine/test_outages.py::test_case_41_a_429_is_waited_out_to_the_second_by_its_channel_alone_and",
            "channels/test_faults.py::test_every_fault_is_told_for_what_it_is",
            "channels/test_delivery_cases.py::test_case_41_who_is_asked_to_wait_waits_so_long_and_tells_all_of_it",
        ],
    ),
    "429 was retried at once and blindly, which risks a ban": (
        "prometheus/alertmanager#2112, reverted in #2128",
        [
            "engine/test_outages.py::test_case_41_a_429_is_waited_out_to_the_second_by_its_channel_alone_and",
            "engine/test_outages.py::test_a_destination_that_asks_again_and_again_and_takes_nothing_is_failing",
            "engine/test_ladder.py::test_no_wait_at_all_is_not_taken_for_a_prescription",
        ],
    ),
    "a chat shared with other apps took one message a minute, and the rest of a burst was lost": (
        "louislam/uptime-kuma waits up to 180 s; TwiN/gatus#1607",
        [
            "engine/test_outages.py::test_case_41_a_chat_that_takes_one_a_second_and_no_rate_is_set_hears_of_a_storm_in_digests",
            "channels/test_delivery_cases.py::test_case_41_who_is_asked_to_wait_waits_so_long_and_tells_all_of_it",
            "channels/test_google_chat.py::test_google_chat_is_asked_thirty_times_a_minute",
        ],
    ),
    "a limit that the vendor does not document was hit by every burst": (
        "discord/discord-api-docs#367",
        [
            "channels/test_discord.py::test_discord_is_asked_once_in_two_seconds",
            "channels/test_discord.py::test_the_body_knows_the_exact_wait_and_whoever_bans_us_is_left_alone_for_long",
        ],
    ),
    "a few failures among many successes disabled an endpoint": (
        "docs.svix.com/retries and frain-dev/convoy say why theirs do not",
        [
            "engine/test_outages.py::test_a_few_failures_among_many_successes_change_nothing",
        ],
    ),
    "a chat that was away came back to sixty repeats": (
        "louislam/uptime-kuma#6046",
        [
            "engine/test_outages.py::test_case_40_after_an_hour_the_chat_hears_the_present_state_once_and_every",
            "channels/test_delivery_cases.py::test_case_40_after_an_hour_without_its_channel_an_alert_is_told_once_as_it_is_now",
        ],
    ),
    "what fired and resolved while a chat was away or throttled was never told at all": (
        "SigNoz/signoz#12891; senders that look at the present only",
        [
            "channels/test_delivery_cases.py::test_case_40_what_began_and_ended_without_its_channel_is_told_once_and_every_movement_is",
            "engine/test_deliver.py::test_case_40_an_outage_of_the_channel_ends_with_one_combined_message",
        ],
    ),
    "an alert was marked as sent as soon as one of its channels had it": (
        "ElastAlert 2, elastalert.py",
        [
            "engine/test_outages.py::test_case_44_of_two_channels_only_the_failed_one_is_told_again",
            "channels/test_delivery_cases.py::test_case_44_of_two_channels_only_the_one_that_failed_is_told_again",
        ],
    ),
    "the end of an alert that failed to be sent was forgotten": (
        "TwiN/gatus watchdog/alerting.go",
        [
            "engine/test_outages.py::test_case_45_an_end_that_fails_to_arrive_is_tried_until_it_does",
            "channels/test_delivery_cases.py::test_case_45_an_end_that_is_refused_for_hours_arrives_in_the_end",
        ],
    ),
    "an alert that fired again within the interval of its group was never told": (
        "prometheus/alertmanager#2398",
        [
            "channels/test_delivery_cases.py::test_case_46_fired_ended_and_fired_again_within_the_interval_is_one_message",
            "engine/test_deliver.py::test_case_46_a_refire_within_the_interval_is_one_message_with_both_episodes",
        ],
    ),
    "the end of a group's last alert waited for the interval": (
        "prometheus/alertmanager#1510",
        [
            "engine/test_deliver.py::test_case_46_the_end_of_the_last_alert_is_told_at_once",
            "store/test_groups.py::test_case_46_a_group_whose_last_alert_resolves_is_told_at_once",
        ],
    ),
    "a webhook that was removed failed for ever, and nobody was told": (
        "checkly/public-roadmap#200; slackapi/slack-github-action#249",
        [
            "e2e/test_failing_channel.py::test_case_47_a_webhook_that_was_removed_is_told_elsewhere",
        ],
    ),
    "marked as sent before it was, and lost in a crash": (
        "healthchecks/healthchecks#212",
        [
            "test_crash_delivery.py::test_no_crash_loses_what_is_owed",
            "engine/test_lifetimes.py::test_case_06_a_crash_after_the_2xx_repeats_the_message_once_and_as_it_was",
        ],
    ),
    "a connection that had died in the pool cost an alert": (
        "svix/svix-webhooks worker.rs says why theirs does not",
        [
            "channels/test_faults.py::test_a_connection_that_died_in_the_pool_costs_an_attempt_at_most",
        ],
    ),
    "a Retry-After that is no number, or a huge one, broke or blocked a queue": (
        "svix/svix-webhooks tests",
        [
            "channels/test_http.py::test_a_destination_s_wait_is_read_within_bounds",
        ],
    ),
    "two processes told everything twice, or each waited for the other": (
        "prometheus/alertmanager#4008, grafana/grafana#53990",
        [
            "e2e/test_cases.py::test_case_48_of_two_daemons_each_alert_is_told_by_one",
            "channels/test_delivery_cases.py::test_case_48_of_two_processes_that_send_at_once_the_second_says_the_same",
        ],
    ),
    "a test button said that all is well while real messages failed": (
        "grafana/grafana#125035",
        [
            "e2e/test_drill.py::test_a_drill_that_nobody_acknowledges_or_a_channel_does_not_take_exits_1",
            "e2e/test_drill.py::test_a_drill_beside_a_daemon_goes_out_until_it_is_acknowledged",
        ],
    ),
    # what a destination minds about a message
    "a message too long for Discord was refused, and the alert lost": (
        "prometheus/alertmanager#3310, #3460; grafana/grafana#48812",
        [
            "channels/test_discord.py::test_messages_at_the_limits_are_taken",
            "channels/test_discord.py::test_no_label_breaks_a_limit_mentions_anybody_or_links_anywhere",
            "channels/test_delivery_cases.py::test_case_42_the_longest_messages_arrive_within_the_limits",
        ],
    ),
    "a message within every documented limit was too long for Slack all the same": (
        "slackapi/bolt-js#2509",
        [
            "channels/test_slack.py::test_messages_at_the_limits_are_taken",
            "channels/test_delivery_cases.py::test_case_42_the_longest_messages_arrive_within_the_limits",
        ],
    ),
    "Slack said 200 and something else than ok, which was taken for a success": (
        "prometheus/alertmanager notify/slack/slack.go",
        [
            "channels/test_slack.py::test_only_200_ok_is_ok",
            "channels/test_slack_bot.py::test_200_with_an_error_inside_is_what_the_error_says",
        ],
    ),
    "a Slack hook that was removed was tried for ever": (
        "slackapi/slack-github-action#249",
        [
            "channels/test_slack.py::test_the_body_is_believed_first_and_the_code_second",
            "e2e/test_failing_channel.py::test_case_47_a_webhook_that_was_removed_is_told_elsewhere",
        ],
    ),
    "Discord said 204 to a message that it did not save": (
        "discord/discord-api-docs, wait=false",
        [
            "channels/test_discord.py::test_a_message_arrives_and_is_asked_whether_it_was_saved",
            "channels/test_discord.py::test_the_thread_of_the_url_is_kept_and_wait_is_always_said",
        ],
    ),
    "Cloudflare's refusal of a client was taken for Discord's of a webhook": (
        "discord/discord-api-docs#4908",
        [
            "channels/test_discord.py::test_the_code_in_the_body_says_what_is_at_fault_and_a_page_says_nothing",
            "channels/test_discord.py::test_a_message_arrives_and_is_asked_whether_it_was_saved",
        ],
    ),
    "an edited message mentioned everybody, because an edit falls back to the default": (
        "discord/discord-api-docs",
        [
            "channels/test_discord.py::test_an_edited_end_says_when_it_began_and_ended_and_mentions_nobody",
        ],
    ),
    "a text that was cut behind its escaping had a tag without an end, and Telegram refused it": (
        "core.telegram.org/bots/api",
        [
            "channels/test_telegram.py::test_messages_at_the_limits_are_taken",
            "channels/test_telegram.py::test_no_label_breaks_a_limit_or_becomes_a_link_or_a_command",
        ],
    ),
    "a group that became a supergroup heard nothing any more": (
        "tdlib/telegram-bot-api Client.cpp",
        [
            "channels/test_telegram.py::test_a_group_that_became_a_supergroup_is_told_at_once_and_from_then_on",
        ],
    ),
    "Teams took nothing without the right content type": (
        "idealista/prom2teams#349",
        [
            "channels/test_teams.py::test_a_message_arrives_at_a_real_receiver",
        ],
    ),
    "a card was measured after it was inflated, and refused after 202": (
        "MicrosoftDocs/msteams-docs#11274",
        [
            "channels/test_teams.py::test_room_is_counted_as_a_flow_may_write_it",
            "channels/test_delivery_cases.py::test_case_42_the_longest_messages_arrive_within_the_limits",
        ],
    ),
    "a connector of Office 365 was configured after it had been retired": (
        "swisscom/backman#102",
        [
            "channels/test_teams.py::test_a_retired_connector_is_refused_with_the_way_out",
        ],
    ),
    "a text above 4096 characters was refused by Google Chat": (
        "mr-karan/calert#9",
        [
            "channels/test_google_chat.py::test_messages_at_the_limits_are_taken",
            "channels/test_delivery_cases.py::test_case_42_the_longest_messages_arrive_within_the_limits",
        ],
    ),
    "a changed routing key orphaned the incidents that were open": (
        "PagerDuty/developer-docs",
        [
            "channels/test_pagerduty.py::test_an_incident_is_reached_by_the_key_that_opened_it",
        ],
    ),
    "a trigger that was tried again after the resolve opened the incident anew": (
        "PagerDuty/developer-docs",
        [
            "channels/test_pagerduty.py::test_after_a_failure_only_the_rest_is_sent_and_a_trigger_is_never_left_behind",
        ],
    ),
    "one bad alert made Alertmanager answer 400 to all, of which it took the good ones": (
        "prometheus/alertmanager api/v2/api.go",
        [
            "channels/test_alertmanager.py::test_where_one_of_many_is_refused_each_is_tried_and_the_bad_one_named",
        ],
    ),
    "an alert that was not sent again in time was taken for resolved": (
        "prometheus/alertmanager docs/alerts_api.md",
        [
            "channels/test_alertmanager.py::test_what_fires_stands_for_five_beats_and_what_is_over_ended_when_it_did",
            "channels/test_alertmanager.py::test_it_hears_again_of_what_is_over_for_five_minutes",
        ],
    ),
    "a quota of the day that was used up was asked every second": (
        "binwiederhier/ntfy server/errors.go",
        [
            "channels/test_ntfy.py::test_a_quota_of_the_day_is_not_asked_every_second",
        ],
    ),
    "a line break in a label was an injected header, or the mail was never sent": (
        "Python's EmailMessage raises at the assignment",
        [
            "channels/test_email.py::test_an_attack_is_read_as_it_is_in_the_subject_and_in_both_bodies",
            "channels/test_email.py::test_no_label_adds_a_header_a_tag_or_a_long_line",
        ],
    ),
    "a refusal for now and one for good were the same exception, and a recipient was lost silently": (
        "aiosmtplib",
        [
            "channels/test_email.py::test_what_a_server_refuses_is_told_apart_by_where_and_by_code",
            "channels/test_email.py::test_one_recipient_who_takes_it_is_enough",
        ],
    ),
    "a template that failed swallowed the page": (
        "prometheus/alertmanager#2857, #3490, #5322",
        [
            "e2e/test_self_alerts.py::test_case_43_a_template_that_fails_at_send_time_is_told_once_and_its_alert_goes_out",
            "rules/test_templates.py::test_a_template_that_fails_at_night_is_replaced_by_the_plain_text_with_the_error",
        ],
    ),
    # secrets and addresses
    "the URL of a webhook was in the log": (
        "prometheus/alertmanager#1822, DependencyTrack/dependency-track#1160, spinnaker/spinnaker#3663",
        [
            "channels/test_faults.py::test_every_fault_is_told_for_what_it_is",
            "channels/test_http.py::test_no_failure_names_the_url",
        ],
    ),
    "an address of a carrier's network passed for a public one": (
        "changedetection.io, GHSA-gwph-fp79-379w",
        [
            "test_egress.py::test_private_addresses_are_refused_only_on_demand",
        ],
    ),
    "a name resolved to another address when it was dialled than when it was checked": (
        "langchain-ai/open-swe#1186",
        [
            "test_egress.py::test_a_refused_address_gets_no_socket_and_a_permitted_one_does",
        ],
    ),
    "what could not be resolved was let through": (
        "n24q02m/better-telegram-mcp#79",
        [
            "channels/test_http.py::test_no_failure_names_the_url",
        ],
    ),
    "an answer too long to be logged made its message fail for ever": (
        "hookdeck/outpost",
        [
            "channels/test_http.py::test_of_a_long_answer_only_the_beginning_is_kept",
            "channels/test_http.py::test_an_endless_answer_ends_with_us",
        ],
    ),
    # quiet when it must be, and not longer
    "a silence that ended was not told, or the next message waited for the repeat": (
        "prometheus/alertmanager#2496, #3367; grafana/grafana#50266",
        [
            "e2e/test_cases.py::test_case_09_what_still_fires_when_a_silence_is_ended",
            "engine/test_suppress.py::test_case_09_one_message_when_the_silence_ends_and_it_says_so_once",
        ],
    ),
    "a range across midnight, or in another zone, muted at the wrong time": (
        "prometheus/alertmanager#2646, #2771; grafana/grafana#48508",
        [
            "engine/test_mutes.py::test_case_08_since_when_and_until_when_across_midnight_and_summer_time",
            "engine/test_calendar.py::test_case_08_a_range_across_midnight_is_one_window",
        ],
    ),
    "silences ended without a word, matched nothing or were forgotten": (
        "prometheus/alertmanager#730, #1639, #5459",
        [
            "e2e/test_cases.py::test_case_55_whoever_silenced_what_still_fires_is_reminded_before_it_is_heard",
            "commands/test_silence.py::test_case_55_status_lists_silences_that_match_nothing_or_end_soon",
        ],
    ),
    "a silence hid that it got much worse": (
        "prometheus/alertmanager#1057",
        [
            "engine/test_silences.py::test_case_09_a_silence_is_lifted_when_things_get_worse_than_stated",
        ],
    ),
    "our own lost network was told as an outage of everything that is watched": (
        "TwiN/gatus has a connectivity checker for it",
        [
            "e2e/test_watchdog.py::test_case_50_our_own_lost_network_is_told_once_and_no_provider_is_blamed",
        ],
    ),
    # told what is not so, or not told what is
    "a restart padded or forgot the time that an alert was pending": (
        "prometheus/prometheus#15175, influxdata/kapacitor#1898",
        [
            "engine/test_decide.py::test_case_01_a_gap_within_the_tolerance_counts_towards_for",
            "engine/test_decide.py::test_case_01_after_a_longer_gap_pending_starts_again",
        ],
    ),
    "a restart told again what fired all the time": (
        "prometheus/prometheus#15175, TwiN/gatus#679",
        [
            "engine/test_lifetimes.py::test_case_02_a_restart_says_nothing_of_what_still_fires_until_it_is_time_to_repeat_it",
        ],
    ),
    "what recovered during a restart was never resolved": (
        "influxdata/kapacitor#744, TwiN/gatus#1111, grafana/grafana#68162",
        [
            "engine/test_lifetimes.py::test_case_03_what_recovered_while_nobody_looked_is_resolved_once",
        ],
    ),
    "a restart forgot that an alert was kept firing": (
        "prometheus/prometheus#13957",
        [
            "model/test_alert.py::test_case_04_a_restart_while_keeping_goes_on_with_the_original_timer",
        ],
    ),
    "a start told everything, or nothing of what became bad meanwhile": (
        "pmcfadin/acmon#29, louislam/uptime-kuma#4101",
        [
            "e2e/test_self_alerts.py::test_case_05_what_became_bad_while_nobody_looked_is_told_at_the_start",
            "engine/test_life.py::test_case_05_what_became_bad_meanwhile_fires_and_what_was_bad_is_not_told_again",
        ],
    ),
    "an alert resolved because its source could not be asked": (
        "prometheus/prometheus#17482, #14085; prometheus/alertmanager#2264",
        [
            "engine/test_life.py::test_case_11_a_firing_alert_holds_through_an_outage_and_says_how_old_its_facts_are",
            "engine/test_inhibit.py::test_case_11_one_provider_down_and_nothing_of_what_is_stale_for_it",
        ],
    ),
    "an alert that was pending fired because its source could not be asked": (
        "grafana/grafana#16290",
        [
            "engine/test_life.py::test_case_12_for_pauses_in_an_outage_however_long_it_is",
        ],
    ),
    "an alert around its threshold flooded a chat": (
        "prometheus/alertmanager#204, #3048; grafana/grafana#6202; NagiosEnterprises/nagioscore#91",
        [
            "engine/test_life.py::test_case_25_what_flaps_is_held_and_on_calm_told_as_it_is_then",
            "engine/test_life.py::test_case_25_however_it_goes_few_messages_tell_it_and_none_is_a_lie",
        ],
    ),
    "a first reading that was bad already was not told, or every first one was news": (
        "dgtlmoon/changedetection.io#3851, home-assistant/core#46424, #47378",
        [
            "engine/test_life.py::test_case_26_a_first_reading_that_is_bad_is_told_and_a_good_one_is_no_news",
        ],
    ),
    "a warning that became critical was two alerts, held together by an inhibition": (
        "Prometheus needs two rules",
        [
            "engine/test_life.py::test_case_27_up_at_once_down_after_keep_firing_for_under_one_id",
        ],
    ),
    "it got worse and worse, and nobody was told again": (
        "yearn/monitoring#316, #187",
        [
            "engine/test_life.py::test_case_28_each_time_it_is_that_much_worse_than_what_was_told",
        ],
    ),
    "too many alerts of one rule cleared all of them": (
        "Prometheus' rule limit",
        [
            "engine/test_lifetimes.py::test_case_32_of_too_many_alerts_the_worst_are_told_the_rest_counted_and_all_are_kept",
        ],
    ),
    "the first run told of years of history": (
        "YelpArchive/elastalert#2711",
        [
            "engine/test_lateness.py::test_case_35_they_are_stored_as_history_and_counted_by_no_rule",
        ],
    ),
    "a gap after downtime was skipped with a line in the log": (
        "OpenZeppelin Monitor, max_past_blocks",
        [
            "engine/test_lateness.py::test_case_36_every_event_of_a_gap_is_judged_and_told_as_late",
            "rules/test_self_alerts.py::test_case_36_events_that_were_given_up_are_told_at_once_and_once",
        ],
    ),
    "the place up to which events were read was saved before they were told": (
        "OpenZeppelin/openzeppelin-monitor#243",
        [
            "test_crash.py::test_case_39_no_crash_loses_or_invents_anything_on_a_real_server",
        ],
    ),
    "a rule that was removed left its alert firing for ever": (
        "prometheus/alertmanager#2770",
        [
            "e2e/test_daemon.py::test_case_51_a_rule_that_is_removed_while_it_fires_is_closed",
        ],
    ),
    "an edited rule forgot its alerts, or resolved and fired them again": (
        "prometheus/prometheus#3376, #18243; cortexproject/cortex#493; influxdata/kapacitor#908",
        [
            "engine/test_retire.py::test_case_52_an_edited_threshold_keeps_the_episode_and_is_judged_at_the_next_poll",
            "engine/test_decide.py::test_case_52_a_longer_for_does_not_unfire",
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
    for test in tests:
        file, name = test.split("::")
        assert any(found.startswith(name) for found in names_in(file)), f"{file} has no {name}"
