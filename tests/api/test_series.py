from datetime import UTC, datetime, timedelta
from decimal import Decimal

from monitor.api.series import held
from monitor.model.record import Point

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def point(value, at):
    return Point("USDT", "available", Decimal(value), at)


def test_a_value_holds_until_the_next_and_nothing_is_known_before_the_first():
    points = [point("300", NOON + 1.5 * MINUTE), point("70", NOON + 3 * MINUTE)]

    series = held(points, NOON, NOON + 4 * MINUTE, MINUTE)

    assert [((p.at - NOON) // MINUTE, str(p.value)) for p in series] == [(2, "300"), (3, "70"), (4, "70")]


def test_steps_fall_on_whole_multiples_so_that_two_ranges_agree():
    series = held([point("1", NOON)], NOON + timedelta(seconds=7), NOON + timedelta(seconds=67), MINUTE / 2)

    assert [p.at - NOON for p in series] == [timedelta(seconds=30), timedelta(seconds=60)]


def test_no_points_make_no_series():
    assert held([], NOON, NOON + MINUTE, MINUTE) == []
