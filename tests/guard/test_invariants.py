"""What must always hold of the guard, and that each has tests that look for it by name."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
#: Any operations in any order; lying providers and lossy callers; and many callers at once over HTTP.
_MACHINE = "guard/test_state_machine.py::test_the_store_answers_as_the_model_does"
_SCHEDULES = "guard/test_simulator.py::test_no_schedule_promises_more_than_there_is"
_HISTORIES = "e2e/test_guard_histories.py::test_what_callers_are_told_at_once_is_what_one_after_the_other_could_be"
#: Invariant → what it says, and who looks for it.
INVARIANTS = {
    "I1": (
        "no oversell",
        _MACHINE,
        _SCHEDULES,
        _HISTORIES,
        "store/test_clock_set_forward.py::test_a_hold_that_ended_early_is_not_given_to_somebody_else",
    ),
    "I2": ("what is held is the sum of the open holds", _MACHINE),
    "I3": ("a hold resolves once, and states only move forward", _MACHINE),
    "I4": (
        "the same bet gets the same answer while that stands, another body none",
        _MACHINE,
        "api/test_guard_answers.py::test_what_the_readme_says_of_a_call_on_a_hold_in_each_state_is_what_happens",
    ),
    "I5": ("a release before its bet refuses it, and repeats safely", _MACHINE, _HISTORIES),
    "I6": ("a commit is at most what was held, and the rest returns", _MACHINE),
    "I7": ("a hold never expires early, and its money comes back", _MACHINE, _HISTORIES),
    "I8": ("readings only get newer, and only they cover debits", _MACHINE, _SCHEDULES),
    "I9": ("a win counts when a reading shows it", _MACHINE, _SCHEDULES),
    "I10": (
        "in doubt nothing is allowed",
        _MACHINE,
        "engine/test_guarding.py::test_case_59_without_the_store_nothing_is_decided",
        "engine/test_guarding.py::test_what_was_reserved_for_nobody_is_given_back_and_its_id_refused",
    ),
    "I11": ("locks stop new holds only", _MACHINE, "api/test_wallets.py::test_a_lock_stops_new_holds_and_nothing_else"),
    "I12": (
        "more money or a smaller bet is never worse",
        _MACHINE,
        "guard/test_arithmetic.py::test_ten_times_as_much_of_everything_is_decided_alike",
    ),
    "I13": (
        "the store counts as integers do",
        _MACHINE,
        "guard/test_arithmetic.py::test_the_store_counts_as_integers_do_up_to_the_45th_digit",
    ),
    "I14": ("wallets are independent", "guard/test_arithmetic.py::test_wallets_do_not_see_each_other"),
    "I15": (
        "one call for a wallet at a time, and forced refreshes within their part",
        "engine/test_refresher.py::test_there_is_never_more_than_one_call_for_an_account",
        "engine/test_refresher.py::test_a_storm_of_refreshes_leaves_the_schedule_its_fifth",
    ),
    "I16": (
        "after lost writes nothing is allowed until the quarantine ends",
        "store/test_lost_holds.py::test_i16_after_a_failover_that_lost_a_hold_nobody_else_gets_its_money",
    ),
}


@pytest.mark.parametrize("name", INVARIANTS)
def test_every_invariant_is_looked_for(name):
    _, *looked_for = INVARIANTS[name]

    for where, _, test in (one.partition("::") for one in looked_for):
        known = {one.name for one in ast.walk(ast.parse((TESTS / where).read_text("utf-8"))) if _is_test(one)}
        assert test in known, where


def _is_test(node):
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")


def test_none_is_left_out():
    assert list(INVARIANTS) == [f"I{number}" for number in range(1, 17)]
