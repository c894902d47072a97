"""The first of many, kept up with what changes: always what sorting all of them would give."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from monitor.model.leaders import KEPT, Leaders
from monitor.model.sums import Part, Sum

NAMES = [f"a{number}" for number in range(3 * KEPT)]
STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.one_of(st.none(), st.integers(-3, 50).map(str))), max_size=300)


@given(st.integers(0, 3 * KEPT), STEPS, st.booleans())
def test_a_sum_names_its_largest_and_its_missing_parts_whatever_changed_since(there, steps, leading):
    kept = Sum.leading() if leading else Sum()
    for number in range(there):
        kept.put(part(NAMES[number], str(number % 40)))
    kept.largest(10)

    for place, (name, amount) in enumerate(steps):
        if amount == "0":
            kept.drop(name)
        else:
            kept.put(part(name, amount))
        if place % 7 == 0 or place == len(steps) - 1:
            known = [one for one in kept.parts.values() if one.amount is not None]
            assert kept.largest(10) == sorted(known, key=lambda one: (-abs(one.amount), one.account))[:10]
            unknown = sorted(one.account for one in kept.parts.values() if one.amount is None)
            assert [one.account for one in kept.lacking(10)] == unknown[:10]


def part(name, amount):
    return Part(name, "USDT", None if amount is None else Decimal(amount))


def test_all_are_looked_through_seldom():
    looked = []
    leaders = Leaders(lambda number: looked.append(number) or number)
    leaders.fill((str(number), number) for number in range(100_000))
    looked.clear()
    for number in range(KEPT - 10):
        leaders.drop(str(number))
        leaders.put(str(number), 200_000 + number)
        assert leaders.first(10)[0] == number + 1

    assert len(looked) < 10_000
