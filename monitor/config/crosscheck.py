"""What only shows when all parts of a configuration are seen together."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from pydantic import BaseModel, SecretStr

from monitor.channels.base import insecure
from monitor.config import audience, doubts, guarddoubts, watchdog_settings
from monitor.config.accounts import Roster
from monitor.config.mistakes import Finding, Mistake, Steps, dotted
from monitor.config.pricecheck import forgeable, namesakes, types_of, unpriceable
from monitor.config.settings import Settings
from monitor.config.yamlfile import Document
from monitor.engine.expected import doubts as expected_doubts
from monitor.engine.expected import mistakes
from monitor.fields import UNREAD, suggestion
from monitor.providers.base import ProviderSettings
from monitor.rules.aggregate import OWN
from monitor.rules.base import RuleBase

#: A bearer token shorter than this can be guessed.
TOKEN_MIN = 16
#: A server without a user, a path or a query has nothing in it to keep secret.
_SERVER = re.compile(r"https?://[\w.:\[\]-]+/?")
#: Where a rule says which measures it reads; a percentage is one of `total`.
_MEASURE_KEYS = ("measure", "expression", "above")


@dataclass(frozen=True, slots=True)
class Located:
    """A good rule, and where it was read."""

    rule: RuleBase
    document: Document
    path: Steps
    title: str

    def at(self, *steps: str | int, what: str) -> Mistake:
        line = self.document.line((*self.path, *steps))
        return Mistake(self.document.file, line, dotted((self.title, *steps)), what)


@dataclass(slots=True)
class Findings:
    """Mistakes stop a start, warnings do not."""

    document: Document
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)

    def wrong(self, path: Steps, what: str) -> None:
        self.mistakes.append(self.document.mistake(path, what))

    def doubt(self, path: Steps, what: str) -> None:
        self.warnings.append(self.document.mistake(path, what))

    def take(self, wrong: Iterable[Finding], doubts: Iterable[Finding], below: Steps = ()) -> None:
        """What somebody else has found, with its path below that."""
        for path, what in wrong:
            self.wrong((*below, *path), what)
        for path, what in doubts:
            self.doubt((*below, *path), what)


def check(settings: Settings, roster: Roster, rules: list[Located], document: Document) -> Findings:
    """All cross-checks of a configuration whose parts are sound by themselves."""
    found = Findings(document)
    _check_store(settings, found)
    found.mistakes += miscounted(settings, document)
    _check_http(settings, found)
    found.take(namesakes(settings.prices), forgeable(settings.prices))
    _check_secrets(settings, found)
    watchdogs = watchdog_settings.mistakes(settings.connectivity, settings.egress)
    found.take(watchdogs, watchdog_settings.doubts(settings.heartbeats))
    _check_providers(settings, roster, found)
    _check_channels(settings, found)
    _check_expected(settings, roster, found)
    found.take(guarddoubts.mistakes(settings.guard, roster.accounts), guarddoubts.doubts(settings, roster.accounts))
    _check_rules(settings, roster, rules, found)
    return found


def _check_store(settings: Settings, found: Findings) -> None:
    if settings.store.embedded and sys.platform == "win32":
        found.wrong(("store", "url"), "the embedded store does not run on Windows, use redis://…")


def _check_http(settings: Settings, found: Findings) -> None:
    http = settings.http
    if not http.local and not http.tokens:
        found.wrong(("http", "listen"), f"{http.listen} can be reached from other machines: add tokens")
    for index, token in enumerate(http.tokens):
        others, secret = http.tokens[:index], token.token.get_secret_value()
        if any(token.name == one.name for one in others):
            found.wrong(("http", "tokens", index, "name"), f"there is already a token {token.name!r}")
        elif secret != UNREAD and (twin := next((one.name for one in others if one.token == token.token), None)):
            found.wrong(("http", "tokens", index, "token"), f"the same as that of {twin!r}: who asks could not be told")
        if secret != UNREAD and len(secret) < TOKEN_MIN:
            found.doubt(("http", "tokens", index, "token"), f"shorter than {TOKEN_MIN} characters, easy to guess")


def secrets(settings: Settings) -> Iterator[tuple[Steps, SecretStr]]:
    """Every secret of a configuration with its path."""
    for path, leaf in leaves(settings, ()):
        if isinstance(leaf, SecretStr):
            yield path, leaf


def leaves(value: object, path: Steps) -> Iterator[tuple[Steps, object]]:
    """Every value inside validated settings that holds no others, with its path in the file."""
    match value:
        case BaseModel():
            for name, info in type(value).model_fields.items():
                # A hundred thousand accounts hold no secret and nothing to count.
                if name != "accounts":
                    yield from leaves(getattr(value, name), (*path, info.alias or name))
        case Mapping():
            for key, item in value.items():
                yield from leaves(item, (*path, str(key)))
        case tuple() | list():
            for index, item in enumerate(value):
                yield from leaves(item, (*path, index))
        case _:
            yield path, value


def _check_secrets(settings: Settings, found: Findings) -> None:
    for path, _ in secrets(settings):
        written = found.document.at(path)
        if isinstance(written, str) and (path != ("store", "url") or "@" in written) and not _SERVER.fullmatch(written):
            found.doubt(path, "a secret in plain text, write {env: NAME} or {file: PATH}")


def miscounted(value: object, document: Document, path: Steps = ()) -> Iterator[Mistake]:
    """Numbers that were written as `true` or `false`: pydantic takes those for 1 and 0."""
    for where, leaf in leaves(value, path):
        if type(leaf) is int and isinstance(document.at(where), bool):
            yield document.mistake(where, "must be a whole number")


def _check_providers(settings: Settings, roster: Roster, found: Findings) -> None:
    for name, spec in settings.providers.items():
        if insecure(spec.origin()):
            found.doubt(("providers", name, "base_url"), "is http: everybody on the way can read it, use https")
        for sentence in doubts.overload(
            spec, [account for account in roster.accounts.values() if account.provider == name]
        ):
            found.doubt(("providers", name), sentence)
    if not roster.accounts:
        found.doubt(("providers",), "no account is configured, nothing will be watched")


def _check_channels(settings: Settings, found: Findings) -> None:
    for name, channel in settings.channels.items():
        for sentence in channel.warnings():
            found.doubt(("channels", name), sentence)
    # A channel that is wrong in itself exists all the same.
    written = found.document.value.get("channels")
    names = list(written) if isinstance(written, dict) else list(settings.channels)
    if not names:
        found.doubt(("channels",), "no channel is configured, alerts would reach nobody")
    if settings.route is not None:
        found.take(settings.route.mistakes(names, _intervals(settings, found)), (), ("route",))
    told = settings.route, settings.escalations, settings.fallback_channel, names
    found.take(audience.mistakes(*told), audience.doubts(*told))


def _intervals(settings: Settings, found: Findings) -> list[str]:
    """The names of the time intervals; one that is wrong in itself exists all the same."""
    written = found.document.value.get("time_intervals")
    return list(written) if isinstance(written, dict) else list(settings.time_intervals)


def _check_expected(settings: Settings, roster: Roster, found: Findings) -> None:
    telling = {name for name, spec in settings.providers.items() if spec.DESTINATIONS}
    transfers, broken = settings.expected_transfers, _broken_accounts(roster, found.document)
    wrong = (
        (path, what)
        for path, what in mistakes(transfers, _intervals(settings, found), roster.accounts)
        if path[1:] != ("account",) or transfers[int(path[0])].account not in broken
    )
    odd = chain(expected_doubts(transfers, roster.accounts, telling), doubts.of_expected(transfers, roster.accounts))
    found.take(wrong, odd, ("expected_transfers",))


def _broken_accounts(roster: Roster, document: Document) -> set[str]:
    """Accounts that are written down but wrong, or whose provider is: they exist all the same."""
    written = document.value.get("providers")
    found: set[str] = set()
    for spec in written.values() if isinstance(written, dict) else ():
        accounts = spec.get("accounts") if isinstance(spec, dict) else None
        found |= (
            {str(name) for name in accounts if name not in roster.accounts} if isinstance(accounts, dict) else set()
        )
    return found


def _check_rules(settings: Settings, roster: Roster, rules: list[Located], found: Findings) -> None:
    # Prices that are wrong in themselves exist all the same.
    sound = "prices" in settings.model_fields_set or "prices" not in found.document.value
    if not rules:
        found.doubt(("rules",), "there is no rule, nothing will ever be told")
    told = doubts.Audience(roster)
    for located in rules:
        rule, matched = located.rule, told.of(located.rule)
        names = {account.provider for account in matched}
        if rule.judges_provider:
            names = {name for name in settings.providers if rule.matches({"provider": name})}
        watched: list[ProviderSettings] = [settings.providers[name] for name in sorted(names)]
        if watched:
            _check_rule(located, watched, found)
            _check_labels(located, roster, found)
        elif settings.providers:
            for path, what in doubts.unmatched(rule, told, settings.providers):
                found.warnings.append(located.at(*path, what=what))
        for path, what in doubts.of_rule(rule, matched, settings.history.keep):
            found.warnings.append(located.at(*path, what=what))
        if sound and watched and rule.in_usd and (what := unpriceable(rule, settings.prices, watched)):
            found.mistakes.append(located.at("unit", what=what))
    known = doubts.told_labels(told, [located.rule for located in rules], settings.providers)
    if settings.route is not None:
        found.take((), doubts.of_route(settings.route, known), ("route",))
    found.take((), doubts.of_inhibit(settings.inhibit or (), known), ("inhibit",))
    found.take((), doubts.of_silences((one.match for one in settings.silences), known), ("silences",))


def _check_rule(located: Located, watched: Sequence[ProviderSettings], found: Findings) -> None:
    rule = located.rule
    types = types_of(watched)
    key = next((name for name in _MEASURE_KEYS if name in type(rule).model_fields), "type")
    for measure in rule.measures():
        offering = [spec for spec in watched if measure in spec.MEASURES]
        known = sorted({each for spec in watched for each in spec.MEASURES})
        if not offering:
            what = f"{types} never offers {measure!r}, only {', '.join(known)}{suggestion(measure, known)}"
            found.mistakes.append(located.at(key, what=what))
        elif len(offering) < len(watched):
            silent = types_of(spec for spec in watched if spec not in offering)
            found.warnings.append(located.at(key, what=f"{silent} never offers {measure!r}"))
    _check_ledger(located, watched, types, found)
    reported = sorted({kind for spec in watched for kind in spec.KINDS})
    wanted = rule.event_kinds()
    if wanted and not set(wanted) & set(reported):
        near = suggestion(wanted[0], reported)
        what = f"{types} reports no {' or '.join(wanted[:3])}{near}"
        found.warnings.append(located.at("kinds" if "kinds" in rule.model_fields_set else "type", what=what))


def _check_labels(located: Located, roster: Roster, found: Findings) -> None:
    """A label in `by` that nobody has tells nothing apart."""
    wanted = [label for label in located.rule.summed_by if label not in OWN]
    known = {label for account in roster.accounts.values() for label in account.labels} if wanted else set()
    for label in wanted:
        if label not in known:
            what = f"no account has the label {label!r}{suggestion(label, known)}"
            found.warnings.append(located.at("aggregate", "by", what=what))


def _check_ledger(located: Located, watched: Sequence[ProviderSettings], types: str, found: Findings) -> None:
    """A rule on what a ledger explains needs one: movements inferred from totals explain every total."""
    rule = located.rule
    if rule.residual() is None:
        return
    having = [spec for spec in watched if any(map(rule.watches, spec.LEDGER))]
    covered = sorted({asset for spec in watched for asset in spec.LEDGER})
    lacking = types_of(spec for spec in watched if spec not in having)
    if not having and covered:
        what = f"the ledger of {types} covers only {', '.join(covered)}: nothing could ever be unexplained"
        found.mistakes.append(located.at("assets", what=what))
    elif not having:
        what = f"{types} has no ledger, movements are inferred from `total`: nothing could ever be unexplained"
        found.mistakes.append(located.at("type", what=what))
    elif lacking:
        found.warnings.append(located.at("type", what=f"{lacking} has no ledger for it: its accounts are not judged"))
