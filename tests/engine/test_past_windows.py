"""Sums over windows against a reference that knows nothing of rings: every window of the past, by brute force."""

from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import NOON, seconds
from tests.facts import Watched, answer, event, rule, snapshot

#: Occurred, found so much later (seconds), amount.
MOVES = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 200), st.integers(1, 80)), max_size=8)


@given(MOVES, st.integers(1, 90), st.sampled_from([1, 7, 60, 240]))
@example([(1, 0, 60), (22, 0, 60)], 60, 60)
@example([(5, 0, 120)], 60, 1)
def test_case_37_a_sum_fires_exactly_when_some_window_was_bad(moves, every, within):
    """However seldom the account is polled: the windows that ended between two polls are judged as well."""
    one = Watched((rule("large_outflow", above=100, within=f"{within}s"),))
    waiting = sorted((at + after, at, amount, n) for n, (at, after, amount) in enumerate(moves))
    for at in range(0, 900 + every, every):
        now = NOON + seconds(at)
        found = [event(str(amount), name=f"e{n}", at=NOON + seconds(when), late=seen - when > 100)
                 for seen, when, amount, n in waiting if at - every < seen <= at]  # fmt: skip
        one.see(answer(snapshot(at=now), events=tuple(found)), now)

    worst = max(
        (sum(a for other, _, a in moves if at - within < other <= at) for at, _, _ in moves), default=0
    )  # fmt: skip
    assert any(news == "firing" for _, news in one.news) == (worst > 100)
