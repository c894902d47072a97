"""Questions and settings with defaults for everything, so that a test mentions only what it is about."""

from decimal import Decimal

from monitor.guard import units
from monitor.guard.hold import Ask, Terms
from monitor.model.feed import Fed
from tests.builders import minutes, seconds


def terms(**changes: object) -> Terms:
    """The defaults of the configuration."""
    plain = Terms(seconds(10), seconds(2), minutes(24 * 60), minutes(15), 50, "subtract")
    return plain._replace(**changes)


def ask(amount: str = "10", hold: str = "bet-1", **changes: object) -> Ask:
    """May player-7 spend this much USDT?"""
    counted, decimals = units.parse(amount)
    plain = Ask("casino", hold, "player-7", "USDT", counted, decimals, seconds(30), seconds(150), "dec_1")
    return plain._replace(**changes)


def fed(available: str, locked: str = "0") -> Fed:
    """What a reading told of one asset."""
    return Fed(Decimal(available), Decimal(locked))


def amount(text: str) -> int:
    """`12.50` in units."""
    return units.parse(text)[0]
