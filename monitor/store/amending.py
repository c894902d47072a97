"""What people change in an account's record between two polls."""

from monitor.model.record import Amended, Commit
from monitor.model.window import MICROSECOND
from monitor.store import codec, ledgercodec
from monitor.store.polling import SWEEP_DELAY
from monitor.store.session import Session


class AmendingStore(Session):
    """Implements `amend`."""

    async def amend(self, provider: str, commit: Commit) -> Amended:
        """Write the alerts of a record and the rows they owe in one atomic call, if the version is the one read.

        No claim is needed: a poll that runs meanwhile finds another version and decides again. After *written* the
        rows are yet to be moved, by whoever amends, or by the sweep.
        """
        account, where = commit.record.account, self.partition(commit.record.account)
        stories, told = ledgercodec.stories(where, commit, self.keep.age)
        answer, _ = await self._calls.fcall(
            "bm_amend",
            [
                *(where.seq, where.record(account), where.last(provider)),
                *(where.outbox(account), where.outdue, where.open, *stories),
            ],
            self._now,
            account,
            commit.before.version,
            codec.alerts_of(commit.record),
            "1" if commit.record.alerts else "0",
            SWEEP_DELAY // MICROSECOND,
            len(commit.rows),
            *map(codec.dump, commit.rows),
            *told,
        )
        return "written" if answer == b"written" else "moved"
