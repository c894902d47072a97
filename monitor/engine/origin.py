"""Whose record it is: what one provider said of an account is no measure for what another one says. Pure."""

from datetime import datetime

from monitor.model.alert import Alert
from monitor.model.record import Account, Record
from monitor.model.snapshot import Snapshot


def is_of(record: Record, account: Account) -> bool:
    """Whether what a record tells is of the account's provider and wallet, as far as it says whose it is."""
    if not record.provider:
        return True
    same = not record.wallet or not account.wallet or record.wallet == account.wallet
    return same and record.provider == account.provider


def of_provider(record: Record, account: Account, now: datetime) -> Record:
    """The record as far as it is of the account's provider and wallet: all of it, unless the account has come from
    another.

    Then the balance is other money: nothing moved, nothing is known of it yet. What people were told stays,
    since when there has been no good reading, and what of an expected transfer has been used. The old provider's and
    wallet's names stay until the new one has answered.
    """
    if is_of(record, account):
        return record
    return Record(
        account=record.account,
        version=record.version,
        outage=record.outage,
        failing_since=record.failing_since,
        alerts=record.alerts,
        lately=record.lately,
        budgets=record.budgets,
        provider=record.provider,
        wallet=record.wallet,
        began_at=now,
    )


def left_behind(alert: Alert, snapshot: Snapshot) -> bool:
    """Whether an alert speaks of an asset that the new provider does not have, by its first answer."""
    asset = alert.subject
    return bool(asset) and not {asset, asset.partition("@")[0]} & {*snapshot.amounts, *snapshot.missing}
