"""The store: every port, over one Redis or Valkey server."""

from monitor.store.amending import AmendingStore
from monitor.store.budgets import BudgetStore
from monitor.store.digests import DigestStore
from monitor.store.inhibiting import InhibitingStore
from monitor.store.ledger import LedgerStore
from monitor.store.overdue import OverdueStore
from monitor.store.polling import PollingStore
from monitor.store.pricing import PricingStore
from monitor.store.reading import ReadingStore
from monitor.store.reporting import ReportingStore
from monitor.store.silences import SilencingStore
from monitor.store.summing import SummingStore
from monitor.store.switching import SwitchingStore
from monitor.store.warding import WardingStore
from monitor.store.watches import WatchingStore


class RedisStore(
    PollingStore,
    AmendingStore,
    InhibitingStore,
    BudgetStore,
    DigestStore,
    WardingStore,
    LedgerStore,
    PricingStore,
    ReportingStore,
    ReadingStore,
    SummingStore,
    SwitchingStore,
    SilencingStore,
    OverdueStore,
    WatchingStore,
):
    """Implements PollStore, DeliveryStore, GuardStore and Reader. Open it with `connect(url)`, then `close` it.

    Redis' own exceptions never leave: StoreUnavailable when it does not answer, StoreUnusable when it must
    not be used.
    """
