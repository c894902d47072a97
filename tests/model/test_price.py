"""Which of several prices counts."""

from decimal import Decimal
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from monitor.model.price import Quote
from tests.builders import NOON, seconds

QUOTES = st.builds(
    lambda price, late: Quote(Decimal(price), NOON + seconds(late)), st.integers(1, 3), st.integers(0, 2)
)


@given(st.lists(QUOTES, min_size=1, max_size=4))
def test_the_newest_price_counts_and_of_one_moment_the_lowest_in_whatever_order_they_come(quotes):
    for order in permutations(quotes):
        known = order[0]
        for quote in order[1:]:
            known = quote if quote.beats(known) else known

        newest = max(quote.at for quote in quotes)
        assert known == Quote(min(quote.price for quote in quotes if quote.at == newest), newest)
