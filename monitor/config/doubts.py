"""What is sound and yet can never work: rules that watch nothing, routes that no alert takes.

Each is told as (path below the rule, or the route; sentence). None of it is a mistake: an asset may come to be
reported that nobody declared, and a label may be that of tomorrow's accounts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import cached_property
from itertools import chain, islice

from monitor.config.accounts import Roster
from monitor.config.deadroutes import dead_routes
from monitor.config.mistakes import Finding, Steps, clip
from monitor.engine.expected import ExpectedTransfer
from monitor.engine.inhibit import Inhibit
from monitor.engine.route import EVERY_LABEL, Route
from monitor.fields import duration_text, suggestion
from monitor.model.alert import SEVERITIES
from monitor.model.labels import Match, compile_match, is_glob, values_of
from monitor.model.record import Account
from monitor.providers.base import ProviderSettings
from monitor.rules import RULES
from monitor.rules.base import RESERVED_LABELS, RuleBase
from monitor.rules.self_alert import SELF_ALERTS

#: Among more names than these nobody looks for a similar one.
_COMPARED = 2_000
#: So few possible values are listed.
_LISTED = 6

#: Labels that alerts have besides those of accounts and rules: drills, and what the monitor says of a channel or of
#: its guard.
_OURS = RESERVED_LABELS | {"channel", "drill", "cause", "wallet"}
#: The labels that alerts have, with their values as far as they are known.
Told = Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Audience:
    """The accounts as rules tell them apart: a hundred thousand are a handful of cases."""

    roster: Roster

    @cached_property
    def cases(self) -> Sequence[Account]:
        """One account of each kind: provider, labels, assets and interval."""
        return tuple({_case(account): account for account in self.roster.accounts.values()}.values())

    @cached_property
    def labels(self) -> Mapping[str, Collection[str]]:
        """Every label of the accounts' own with its values."""
        found: dict[str, dict[str, None]] = {}
        for account in self.cases:
            for name, value in account.labels.items():
                found.setdefault(name, {})[value] = None
        return found

    def of(self, rule: RuleBase) -> Sequence[Account]:
        """One account of each kind that a rule matches; none for a rule on providers as a whole."""
        if rule.judges_provider:
            return ()
        found: dict[tuple[object, ...], Account] = {}
        for account in self._candidates(rule):
            case = _case(account)
            if case not in found and rule.matches(
                {**account.labels, "provider": account.provider, "account": account.name}
            ):
                found[case] = account
        return tuple(found.values())

    def _candidates(self, rule: RuleBase) -> Iterable[Account]:
        if "account" not in rule.match:
            return self.cases
        accounts = self.roster.accounts
        names = values_of(rule.match["account"])
        if any(map(is_glob, names)):
            return accounts.values()
        return [accounts[name] for name in names if name in accounts]


def _case(account: Account) -> tuple[object, ...]:
    # The roster keeps equal labels and lists once.
    return account.provider, id(account.labels), id(account.assets), account.interval


def unmatched(rule: RuleBase, audience: Audience, providers: Collection[str]) -> Iterator[Finding]:
    """Why a rule matches nothing: the labels at fault, or that no account has them all."""
    known: dict[str, Collection[str]] = {"provider": providers}
    if not rule.judges_provider:
        known |= {**audience.labels, "account": audience.roster.accounts}
    said = False
    for label, wanted in rule.match.items():
        whose = "a provider as a whole has no" if rule.judges_provider else "no account has the"
        if label not in known and "" not in values_of(wanted):
            yield ("match", label), f"matches no account: {whose} label {label!r}{_near(label, known)}"
            said = True
        elif not _any(label, wanted, ("", *known.get(label, ()))):
            yield ("match", label), f"matches no account: {_never(label, values_of(wanted), known[label])}"
            said = True
    if not said:
        yield ("match",), "matches no account"


def of_rule(rule: RuleBase, matched: Sequence[Account], keep: timedelta) -> Iterator[Finding]:
    """What of a rule can never come true for the accounts that it matches."""
    yield from _of_assets(rule.assets, matched)
    flow = rule.flow()
    slowest = max(matched, key=lambda account: account.interval, default=None)
    if flow is not None and flow.settle is not None and slowest is not None and flow.settle < slowest.interval:
        between = f"{duration_text(slowest.interval)} between two polls of {slowest.name}"
        yield ("settle_within",), f"shorter than the {between}: transfers count before they can be seen to arrive"
    for key in ("within", "history"):
        span = getattr(rule, key, None)
        if isinstance(span, timedelta) and span > keep:
            what = f"longer than `history.keep`, {duration_text(keep)}: a rule that is new or changed knows no more"
            yield (key,), what


def _of_assets(wanted: Sequence[str], matched: Sequence[Account]) -> Iterator[Finding]:
    """Assets that nobody has. One rule may serve accounts that come later; but not where it has nothing at all."""
    lacking = {index: what for index, asset in enumerate(wanted) if (what := _undeclared(asset, matched))}
    declared = {each.lower() for account in matched for each in account.assets}
    for index, what in lacking.items():
        if len(lacking) == len(wanted) or wanted[index].lower() in declared:
            yield ("assets", index), what


def of_expected(transfers: Sequence[ExpectedTransfer], accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Expected transfers of an asset that their account does not have."""
    for index, one in enumerate(transfers):
        account = accounts.get(one.account)
        if account is not None and (what := _undeclared(one.asset, (account,))):
            yield (index, "asset"), what


def _undeclared(asset: str, accounts: Sequence[Account]) -> str:
    """Where all accounts say which assets they must have, and this is none of them; else empty."""
    declared = dict.fromkeys(each for account in accounts for each in account.assets)
    if not declared or not all(account.assets for account in accounts) or any(_same(asset, each) for each in declared):
        return ""
    whose = accounts[0].name if len(accounts) == 1 else "any account it matches"
    near = next((f", did you mean '{each}'?" for each in declared if each.lower() == asset.lower()), None)
    return f"{clip(asset)!r} is not in `assets` of {whose}{near or suggestion(asset, declared)}"


def _same(wanted: str, declared: str) -> bool:
    """Whether these may be one asset: a bare name stands for all its networks."""
    bare, _, network = wanted.partition("@")
    name, _, there = declared.partition("@")
    return bare == name and (not network or not there or network == there)


def overload(spec: ProviderSettings, accounts: Iterable[Account]) -> Iterator[str]:
    """A sentence for each quota window that the accounts' polls exceed."""
    microseconds: dict[int, int] = {}
    for account in accounts:
        interval = account.interval // timedelta(microseconds=1)
        microseconds[interval] = microseconds.get(interval, 0) + 1
    cost = spec.poll_cost()
    for budget, per in spec.quota():
        span = per // timedelta(microseconds=1)
        needed = sum(Fraction(count * cost * span, interval) for interval, count in microseconds.items())
        if needed > budget:
            yield (
                f"{sum(microseconds.values())} accounts at {cost} a poll need {float(needed):.4g} "
                f"per {duration_text(per)}, the limit is {budget}: polls will run late"
            )


def of_route(route: Route, known: Told) -> Iterator[Finding]:
    """Routes that no alert can take or that tell nobody, and groups by what no alert has."""
    yield from dead_routes(route)
    yield from _of_route(route, known, ())


def of_inhibit(inhibit: Sequence[Inhibit], known: Told) -> Iterator[Finding]:
    """Inhibitions that no alert is the source or the target of."""
    names = {*known, *_OURS}
    for index, one in enumerate(inhibit):
        yield from _of_match(one.source, known, (index, "source"))
        yield from _of_match(one.target, known, (index, "target"))
        for place, label in enumerate(one.equal):
            if label not in names:
                yield (index, "equal", place), f"no alert has the label {label!r}{_near(label, names)}"


def of_silences(matches: Iterable[Match], known: Told) -> Iterator[Finding]:
    """Silences that no alert could ever match."""
    for index, match in enumerate(matches):
        yield from _of_match(match, known, (index, "match"))


def told_labels(audience: Audience, rules: Sequence[RuleBase], providers: Iterable[str]) -> Told:
    """What alerts of these rules, and those about the monitor itself, can be told apart by."""
    known: dict[str, dict[str, None]] = {name: dict.fromkeys(values) for name, values in audience.labels.items()}
    for name, value in chain.from_iterable(rule.labels.items() for rule in rules):
        known.setdefault(name, {})[value] = None
    return {
        **known,
        "rule": (*(rule.alert for rule in rules), *SELF_ALERTS),
        "rule_type": (*RULES, "self"),
        "severity": SEVERITIES,
        "provider": tuple(providers),
        "account": audience.roster.accounts,
    }


def _of_match(match: Match, known: Told, path: Steps) -> Iterator[Finding]:
    names = {*known, *_OURS}
    for label, wanted in match.items():
        # Empty means that an alert lacks the label, and assets are whatever accounts report.
        values = [value for value in values_of(wanted) if value]
        if label not in names and values:
            yield (*path, label), f"no alert has the label {label!r}{_near(label, names)}"
        elif label in known:
            dead = [value for value in values if not _any(label, value, known[label])]
            if dead:
                yield (*path, label), _never(label, dead, known[label])


def _of_route(route: Route, known: Told, path: Steps) -> Iterator[Finding]:
    names = {*known, *_OURS}
    yield from _of_match(route.match, known, (*path, "match"))
    for index, label in enumerate(route.group_by or ()):
        if label not in names and label != EVERY_LABEL:
            yield (*path, "group_by", index), f"no alert has the label {label!r}{_near(label, names)}"
    for index, child in enumerate(route.routes):
        yield from _of_route(child, known, (*path, "routes", index))


def _any(label: str, wanted: str | Sequence[str], values: Iterable[str]) -> bool:
    fits = compile_match({label: wanted})
    return any(fits({label: value}) for value in values)


def _never(label: str, wanted: Sequence[str], known: Collection[str]) -> str:
    shown = " or ".join(repr(clip(value)) for value in wanted[:3])
    near = next((found for value in wanted if (found := _near(value, known))), "")
    listed = f" ({', '.join(sorted(known))})" if len(known) <= _LISTED else ""
    return f"no {label} is {shown}{near or listed}"


def _near(word: str, known: Collection[str]) -> str:
    """What may have been meant."""
    same = next((f", did you mean '{each}'?" for each in known if each.lower() == word.lower()), None)
    return same or suggestion(word, islice(known, _COMPARED))
