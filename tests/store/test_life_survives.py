"""A restart at any poll changes nothing: what an alert's life needs is in the stored documents."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOON, minutes
from tests.facts import Watched, answer, restarted, rule, snapshot

LEVELS = {"warning": {"below": 100, "resolve_above": 120}, "critical": {"below": 50, "resolve_above": 60}}
RULES = st.builds(
    lambda wait, keep, most, every, no_data: rule(
        "low_balance",
        levels=LEVELS,
        for_=wait,
        keep_firing_for=keep,
        flap={"max": most, "within": "10m"},
        renotify_every=every,
        on_no_data=no_data,
    ),
    st.sampled_from(["0s", "2m"]),
    st.sampled_from(["0s", "3m"]),
    st.integers(1, 4),
    st.sampled_from(["25%", 10]),
    st.sampled_from(["keep_state", "fire", "resolve"]),
)
WORDS = st.lists(st.sampled_from(["200", "110", "90", "55", "40", "20", "error", "error", "_"]), max_size=40)


@given(RULES, WORDS)
def test_case_01_to_04_a_restart_after_every_poll_tells_the_same_news_under_the_same_ids(watching, words):
    steady, shaken = Watched((watching,)), Watched((watching,))

    for minute, word in enumerate(words):
        for one in (steady, shaken):
            one.reads(word, start=NOON + minutes(minute))
        shaken.record = restarted(shaken.record)

    assert shaken.told == steady.told
    assert shaken.record == steady.record


def test_whose_a_reading_is_and_what_of_it_is_in_doubt_survives_a_restart():
    record = Watched(()).reads("100").record
    record = replace(record, began_at=NOON, doubts={"USDT": NOON + minutes(1)})

    assert (record.provider, restarted(record)) == ("casino", record)


def test_a_record_that_does_not_say_whose_it_is_is_read_as_nobodys():
    record = restarted(replace(Watched(()).reads("100").record, provider=""))

    assert (record.provider, record.began_at, record.doubts) == ("", None, {})


def test_case_24_what_a_worth_is_compared_with_survives_too():
    watching = rule("low_balance", unit="usd", below=100)
    shot = snapshot({"USDT": "3"}, usd={"USDT": Decimal(400)})

    record = Watched((watching,)).see(answer(shot), NOON).record

    assert record.valued["USDT"].price == record.reported["USDT"].price
    assert restarted(record) == record
