"""The power fails at every step in which an alert begins or ends to keep others quiet: what is known stays true."""

import itertools
from dataclasses import replace

from tests.builders import NOON, minutes, seconds
from tests.engine.test_inhibit import ACCOUNTS, Casino


class PowerCut(BaseException):
    """Not an Exception, so no bulkhead can mistake it for a bug and carry on."""


class Fused:
    """Lets the power fail at the `blow`-th chance, of which every call has two: before and after."""

    def __init__(self, thing, chances, blow):
        self._thing, self._chances, self._blow = thing, chances, blow

    def __getattr__(self, name):
        async def call(*args, **kwargs):
            self._spark()
            result = await getattr(self._thing, name)(*args, **kwargs)
            self._spark()
            return result

        return call

    def _spark(self):
        if next(self._chances) == self._blow:
            raise PowerCut


class Mortal(Casino):
    """Dies once while it judges the provider, and somebody else goes on."""

    def __init__(self, store, clock, blow):
        super().__init__(store, clock)
        self.died, self.healthy = False, self.judging
        self.judging = replace(self.judging, store=Fused(store, itertools.count(), blow))

    async def polled(self, polling, one):
        try:
            return await super().polled(polling, one)
        except PowerCut:
            self.died, self.judging = True, self.healthy
            self.clock.pass_(minutes(1))


async def lived(open_store, clock, blow):
    """A provider goes down and comes back: (who is kept quiet by it, who should be) each time, and whether it died."""
    store = await open_store()
    await store._batch.command("FLUSHALL")
    await store.open(4)
    clock.now, found = NOON, []
    casino = Mortal(store, clock, blow)
    for silent in (set(ACCOUNTS), set()):
        casino.silent = silent
        await casino.passes(6)
        clock.pass_(seconds(6))
        await store.sweep(10)
        record = await store.load(casino.checkup.name)
        firing = [one for one in await store.sources(clock()) if one.ended_at is None]
        found.append((len(firing), sum(alert.inhibits for alert in record.alerts)))
    return found, casino.died


async def test_no_crash_leaves_anybody_quiet_for_what_is_over_nor_loud_for_what_is_not(open_store, clock):
    for blow in itertools.count():
        found, died = await lived(open_store, clock, blow)
        assert found == [(1, 1), (0, 0)], f"when the power failed at point {blow}"
        if not died:
            break
    assert blow > 10, "the fuse never reached the interesting places"
