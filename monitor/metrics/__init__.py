"""What the process says about itself to Prometheus: few series, none per account, children bound once."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Info
from prometheus_client.exposition import choose_encoder

from monitor.metrics.beats import BeatMetrics
from monitor.metrics.family import PREFIX, Family
from monitor.metrics.guard import GuardMetrics
from monitor.metrics.sending import Sending

PollOutcome = Literal["ok", "partial", "unreachable", "refused", "throttled", "garbled", "bug"]
AccountState = Literal["ok", "failing", "never"]
ACCOUNT_STATES: tuple[AccountState, ...] = ("ok", "failing", "never")

#: A provider answers in a few milliseconds on loopback and in its timeout at worst.
_POLL = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LATENESS = (0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900)
_DECIDE = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05)
_STORE = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class Described(NamedTuple):
    """One metric as documentation lists it; `type` is counter, gauge, histogram or info."""

    name: str
    type: str
    help: str


class Metrics(Sending):
    """Every metric of one process, in its own registry. Methods are named for what has just happened."""

    def __init__(self, version: str) -> None:
        super().__init__(CollectorRegistry())
        self._polling()
        self._deciding()
        self._delivering()
        self._living(version)
        self.beats = BeatMetrics(self.registry)
        self.guard = GuardMetrics(self.registry)

    def _polling(self) -> None:
        self._polls = self._counter(
            "polls_total",
            "Polls by outcome; partial: some assets could not be read.",
            "provider",
            "outcome",
        )
        self._poll_seconds = self._distribution(
            "poll_duration_seconds", "From the first byte asked to the reading understood.", _POLL, "provider"
        )
        self._polls_late = self._counter(
            "polls_late_total",
            "Polls that began later than due by more than their own interval.",
            "provider",
        )
        self._doubted = self._counter(
            "readings_doubted_total",
            "Sudden zeros that were read again, by what came of it: confirmed, refuted, failed.",
            "provider",
            "outcome",
        )
        self._lateness = self._distribution(
            "poll_lateness_seconds", "How long after its due time a poll began.", _LATENESS, "provider"
        )
        self._reading()

    def _reading(self) -> None:
        self._accounts = Family(
            self._gauge(
                "accounts",
                "Accounts, watched ones included; failing: the last poll failed, never: no good poll yet.",
                "provider",
                "state",
            )
        )
        self._watches = self._gauge("watches", "Accounts made at run time, over all processes.")
        self._last_poll = Family(
            self._gauge("last_poll_timestamp_seconds", "Unix time of this process's last good poll.", "provider")
        )
        self._claim_seconds = self._distribution(
            "claim_seconds", "One claim of due accounts or groups in the store.", _STORE
        )

        self._prices = Family(self._gauge("prices_timestamp_seconds", "Unix time of the last fetch.", "source"))

    def _deciding(self) -> None:
        self._decide_seconds = self._distribution(
            "decide_seconds", "Comparing one reading with its record and judging it by all rules.", _DECIDE
        )
        self._commits = self._counter(
            "commits_total",
            "Commits; already: a repeat of an applied one, moved and lost: someone else was first.",
            "result",
        )
        self._commit_seconds = self._distribution(
            "commit_seconds", "One atomic commit, until its answer is there.", _STORE
        )
        self._events = self._counter("events_total", "Ledger events recorded, inferred movements included.", "provider")
        self._crowded = self._counter(
            "windows_from_ledger_total",
            "Polls of accounts whose record has no room for all windows of their rules: the events are read again.",
            "provider",
        )
        self._template_errors = self._counter(
            "template_errors_total", "Annotations that failed when an alert was to be told.", "rule"
        )
        self._rows = self._counter(
            "rows_total", "News owed to channels: firing, updated, reminder, resolved, event.", "news"
        )

    def _living(self, version: str) -> None:
        self._lag = self._gauge("event_loop_lag_seconds", "How late the event loop ran its last heartbeat.")
        self._store_up = self._gauge("store_up", "1 while the store answers, else 0.")
        self._config = Info(f"{PREFIX}config", "Digest of the configuration in force.", registry=self.registry)
        self._outdated = self._gauge(
            "config_outdated", "1 while another process runs a newer configuration: ours judges what that has not."
        )
        self._reloads = self._counter(
            "config_reloads_total", "Attempts to reload; failed: the old configuration stays.", "result"
        )
        self._reload_good = self._gauge(
            "config_last_reload_successful", "0 after a failed reload: what is in force is not what the files say."
        )
        self._reload_good.set(1)
        self._requests = self._counter(
            "http_requests_total",
            "Requests to the HTTP API by class of answer (2xx, 4xx, 5xx).",
            "status",
        )
        self._hung_up = self._counter(
            "http_hung_up_total",
            "Connections for which there was no room: a stranger's, or a newcomer's where all had shown a token.",
            "who",
        )
        Info(f"{PREFIX}build", "What is running.", registry=self.registry).info({"version": version})

    def poll(
        self,
        provider: str,
        outcome: PollOutcome,
        *,
        took: timedelta,
        lateness: timedelta,
        interval: timedelta,
    ) -> None:
        """A poll has ended. `lateness` is its start minus its due time."""
        self._polls.add(provider, outcome)
        self._poll_seconds.observe(took.total_seconds(), provider)
        self._lateness.observe(max(0.0, lateness.total_seconds()), provider)
        if lateness > interval:
            self._polls_late.add(provider)

    def doubted(self, provider: str, outcome: str) -> None:
        """A reading was taken again because nobody believed it."""
        self._doubted.add(provider, outcome)

    def read(self, provider: str, at: datetime) -> None:
        """A good reading was taken."""
        self._last_poll[provider].set(at.timestamp())

    def priced(self, source: str, at: datetime) -> None:
        """The newest prices of a source are of then, whichever process fetched them."""
        self._prices[source].set(at.timestamp())

    def accounts(self, provider: str, counts: Mapping[AccountState, int]) -> None:
        """How many of a provider's accounts are in which state; a state that is not named has none."""
        for state in ACCOUNT_STATES:
            self._accounts[provider, state].set(counts.get(state, 0))

    def watches(self, count: int) -> None:
        """So many accounts were made at run time and are watched."""
        self._watches.set(count)

    def claimed(self, took: timedelta) -> None:
        """The store has answered a claim."""
        self._claim_seconds.observe(took.total_seconds())

    def decided(self, took: timedelta) -> None:
        """A reading has been judged."""
        self._decide_seconds.observe(took.total_seconds())

    def committed(self, result: str, took: timedelta) -> None:
        """The store has answered a commit: written, already, moved or lost."""
        self._commits.add(result)
        self._commit_seconds.observe(took.total_seconds())

    def crowded(self, provider: str) -> None:
        """A record had no room for all windows that its rules look back on."""
        self._crowded.add(provider)

    def recorded(self, provider: str, events: int) -> None:
        """So many new ledger events were committed."""
        if events:
            self._events.add(provider, by=events)

    def owed(self, news: str, count: int = 1) -> None:
        """So many pieces of news were committed to the outbox."""
        self._rows.add(news, by=count)

    def template_failed(self, rule: str) -> None:
        """An annotation of a rule was replaced by its built-in text."""
        self._template_errors.add(rule)

    def lag(self, late: timedelta) -> None:
        """The event loop ran a heartbeat so late."""
        self._lag.set(late.total_seconds())

    def store(self, *, up: bool) -> None:
        """The store answered, or did not."""
        self._store_up.set(1 if up else 0)

    def configured(self, digest: str) -> None:
        """A configuration is in force."""
        self._config.info({"digest": digest})

    def outdated(self, *, outdated: bool) -> None:
        """Whether another process runs a newer configuration."""
        self._outdated.set(1 if outdated else 0)

    def reloaded(self, *, ok: bool) -> None:
        """A reload was tried."""
        self._reloads.add("ok" if ok else "failed")
        self._reload_good.set(1 if ok else 0)

    def answered(self, status: int) -> None:
        """The HTTP API answered a request."""
        self._requests.add(f"{status // 100}xx")

    def hung_up(self, who: str) -> None:
        """There was no room for a connection to the HTTP API: a stranger's went for it, or it was the newcomer's."""
        self._hung_up.add(who)

    def expose(self, accept: str = "") -> tuple[bytes, str]:
        """The page for `/metrics` and its content type, as the scraper's Accept header prefers."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is no version
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type

    def describe(self) -> list[Described]:
        """Every metric there is, by name, so that documentation can be compared with it."""
        return sorted(self._described())

    def _described(self) -> Iterator[Described]:
        suffixes = {"counter": "_total", "info": "_info"}
        for family in self.registry.collect():
            yield Described(family.name + suffixes.get(family.type, ""), family.type, family.documentation)
