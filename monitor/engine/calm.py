"""Polls that say what the last one said, as most do: rules that judge amounts alone need not judge them again. Pure."""

from typing import NamedTuple

from monitor.model.record import Answer, Record
from monitor.rules.base import RuleBase


class Judged(NamedTuple):
    """By which rules a record was judged in this process, and which of them must judge every poll. `moved` are those
    that prices or our own time may move: they want every poll, also of a provider that does not say of when it is."""

    rules: tuple[RuleBase, ...]
    restless: tuple[RuleBase, ...]
    moved: tuple[RuleBase, ...]


def judged_by(record: Record, rules: tuple[RuleBase, ...]) -> Judged:
    """The mark of a record that these rules have judged."""
    known = record.judged
    # Of one configuration an account has one tuple of rules; comparing two would cost what this saves.
    if isinstance(known, Judged) and known.rules is rules:
        return known
    restless = tuple(rule for rule in rules if not rule.steady)
    return Judged(rules, restless, tuple(rule for rule in rules if rule.in_usd or not (rule.steady or rule.dated)))


def is_calm(record: Record, answer: Answer, rules: tuple[RuleBase, ...]) -> bool:
    """Whether steady rules would say of this answer what they said of the last reading: nothing.

    They did, for no alert is open (whoever closes one for another reason takes the mark away); and the answer holds
    the same amounts, all of them, and nothing has moved that a window remembers.
    """
    known = record.judged
    if not isinstance(known, Judged) or known.rules is not rules or record.alerts or record.doubts:
        return False
    if record.flows or record.extremes or record.residuals or record.budgets:
        return False
    if answer.events or answer.corrections or answer.imported or answer.gap or answer.lost:
        return False
    if answer.explained and any(answer.explained.values()):
        return False
    before, after = record.snapshot, answer.snapshot
    return (
        before is not None and not before.seen and before.missing == after.missing and before.amounts == after.amounts
    )


def nobody_stirs(record: Record, answer: Answer) -> bool:
    """Whether a calm answer is judged by no rule at all, and changes nothing but when the account was read last."""
    known = record.judged
    return isinstance(known, Judged) and not known.moved and answer.snapshot.as_of is None and not record.lately
