"""The hard cases of watching money, and that each has tests of its own, named `test_case_NN_…` after its number.

Such a test shows all that its case claims, and fails when the engine gets it wrong.
"""

import ast
import re
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent
NAMED = re.compile(r"test_case_(\d+)_\w")

CASES = {
    # time and restarts
    1: "a restart while pending: the gap counts towards `for` up to `outage_tolerance`, else pending begins anew",
    2: "a restart while firing: the same episode goes on, and nothing is said again",
    3: "a restart while firing, recovered meanwhile: exactly one resolved",
    4: "a restart within the hysteresis band or `keep_firing_for`: still firing, with the timers it had",
    5: "bad since we were down: told, counted from the first reading; what is as it was stays silent",
    6: "a crash after the receiver's 2xx: at most one repeat, and it is one byte for byte",
    7: "clocks that jump: ours, the store's, a provider's",
    8: "summer time, and windows across midnight",
    9: "a silence or mute ends and the alert still fires: told at once, as silenced since when",
    10: "a store that was emptied: said, and begun anew without inventing or repeating the past",
    # how good the data is
    11: "the provider fails while an alert fires: held, flagged and aged; one alert for the provider",
    12: "the provider fails while an alert is pending: `for` pauses",
    13: "the provider fails while all is well: no money alert, but a stale one after its time",
    14: "a success that is no balance: an outage of its kind, never an amount",
    15: "401 and 403: told at once, and asked less often; a bearer token is renewed once first",
    16: "429: all accounts of the quota slow down, and are stale by the interval that was wanted",
    17: "an asset missing from an answer: zero only where zero rows are known to be dropped",
    18: "a sudden zero, or everything gone: read again within seconds, and only then judged",
    19: "a USD price that is missing or too old: a worth between what is priced and infinity",
    20: "one account of a sum fails: its last value until it is stale, then the sum is an interval",
    21: "answers out of order: the older one changes nothing, and one poll of an account is in flight",
    22: "units and precision: exact from end to end, and units are never converted by guessing",
    23: "pending and final funds, and movements that are taken back",
    24: "a price that crashes: no theft, but a low worth, which says how much of it is price",
    # thresholds and noise
    25: "flapping: fires below and resolves above; too many changes are held and told once",
    26: "the first observation: levels are judged, changes are not",
    27: "warning, critical and back: one alert; every channel that heard its beginning hears its end",
    28: "steadily worse while firing: told again each time it is that much worse",
    29: "a drain over many assets, each under its own threshold: one alert with the breakdown",
    30: "transfers between our own accounts: netted, in transit, then missing",
    31: "expected transfers: a budget of which only the excess is judged",
    32: "too many alerts at once: the worst are told, the rest counted, none forgotten",
    33: "runway with top-ups, idle days and one whale",
    34: "a position that is closed or liquidated: no position is a value, and good",
    # events
    35: "the first run against years of history: imported, counted in the log, not told",
    36: "a gap after downtime: all of it is judged and told as late; what cannot be filled is an alert",
    37: "a late event: counted in the window it belongs to, and told as late",
    38: "the same event twice: told once; a changed status is an update",
    39: "cursor, events, alerts and what they owe are one commit",
    # delivery
    40: "a channel that is down for an hour: the present state, once, and every event",
    41: "429: its channel waits as long as it asks, no other does, criticals go first, nothing is dropped",
    42: "a message that is too long: cut or split in its destination's own unit, with a count, and never refused",
    43: "a template that fails when it is told: the built-in text goes out, and is said once",
    44: "one of two channels fails: only that one is tried again",
    45: "an end that fails to arrive is tried again like a beginning",
    46: "fired, resolved and fired again within `group_interval`: one message, with both",
    47: "a permanent refusal: a dead letter, told by another channel, sent by `replay`",
    48: "two processes on one store: each thing is told by one, and what may be told by both under one id",
    49: "SIGTERM: what is in flight is finished, what is left comes due elsewhere, the heartbeat says stopping",
    50: "we are the one offline: told once, no provider is blamed, the heartbeat stops",
    # configuration
    51: "a rule that is removed while it fires",
    52: "a rule that is edited while it fires",
    53: "a file that is invalid at reload: the old configuration goes on, whole",
    54: "an account that is removed while its alert fires",
    55: "silences that match nothing, end soon or are old are listed; their author is reminded",
    # the guard
    56: "facts older than `max_age`: refused as stale, without waiting for a provider unless the caller asked for that",
    57: "a hundred bets at once: each allow is a hold of its own, and a repeated one is the same hold",
    58: "a bankroll that hovers at its limit: closes and opens with hysteresis, and both are told",
    59: "a store that does not answer: no decision, and never an allow of before",
    60: "a balance that is known only within bounds: the lower one counts",
}
#: Cases without a test, and why.
PENDING: dict[int, str] = {}


def numbers():
    """The numbers in the names of all tests, as they are written."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (found := NAMED.match(node.name)):
                yield found[1]


def test_every_case_has_a_test_of_its_own_or_a_reason_for_having_none():
    found = Counter(map(int, numbers()))

    assert [number for number in CASES if not found[number]] == sorted(PENDING)


def test_no_case_is_left_out():
    assert list(CASES) == list(range(1, len(CASES) + 1))


def test_case_numbers_are_written_with_two_digits():
    assert [number for number in numbers() if len(number) != 2] == []
