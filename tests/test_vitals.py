"""What a process looks at before it says that all is well: its own life, and the store it shares."""

from types import SimpleNamespace

import pytest

from monitor.concerns import Concerns
from monitor.config import load
from monitor.connectivity import Lookout
from monitor.duties import Duties
from monitor.engine.watch import STORE_PROVIDER, stand_ins
from monitor.errors import StoreUnavailable
from monitor.gauges import Gauges
from monitor.metrics import Metrics
from monitor.model.channel import ChannelHealth
from monitor.vitals import Vitals, audiences
from tests.builders import NOON, minutes, seconds

CONFIG = """\
version: 1
providers:
  custody:
    type: kuna
    base_url: https://kuna.example.com
    auth: {{api_key: plain}}
    accounts:
      hot: {{wallet_id: w1, assets: [USDT], interval: 10s}}
      cold: {{wallet_id: w2, assets: [USDT], interval: 1h}}
channels:
  ops: {{type: webhook, url: "https://ops.example/a"}}
  chat: {{type: webhook, url: "https://chat.example/b"}}
route: {{channels: [chat]}}
rules: []
{more}
"""


@pytest.fixture
def configured(tmp_path):
    def configured(more=""):
        (tmp_path / "config.yaml").write_text(CONFIG.format(more=more))
        return load(tmp_path / "config.yaml")

    return configured


class Crew:
    """What is looked at of a crew."""

    ailing_parts = ()

    def __init__(self, config):
        self.config, self.accounts = config, config.accounts
        self.stand_ins = stand_ins(config.accounts, config.rules)

    def ailing(self):
        return self.ailing_parts


@pytest.fixture
def watched(store, clock, configured):
    """Everything is enrolled, and due for the first time at noon."""
    metrics, concerns = Metrics("1.0"), Concerns(clock, "web-1:7")
    duties = Duties(Crew(configured()), store, Gauges(metrics, clock, concerns), metrics, clock, concerns)
    return SimpleNamespace(duties=duties, vitals=Vitals(duties, Lookout(clock, concerns)), store=store, clock=clock)


async def rung(watched, time):
    """Time passes, and the scheduler rings."""
    watched.clock.pass_(time)
    watched.duties.rung_at = watched.clock()
    return await watched.vitals()


async def test_an_account_is_overdue_by_its_own_interval_also_where_it_is_polled_by_nobody(watched):
    await watched.store.enrol("custody", {"hot": NOON, "cold": NOON, "stranger": NOON})
    told = [await rung(watched, seconds(60)), await rung(watched, seconds(1))]
    await watched.store.claim("custody", 10, seconds(30))
    told.append(await rung(watched, seconds(0)))

    assert told == [(), ("overdue polls: 1, for example of hot",), ()]


async def test_judging_is_work_too(watched):
    await watched.store.enrol(STORE_PROVIDER, {"provider:custody": NOON})

    assert await rung(watched, minutes(2)) == ("overdue polls: 1, for example of provider:custody",)


async def test_what_a_process_knows_of_itself_counts(watched):
    watched.duties.crew.ailing_parts = ["channel ops"]
    watched.clock.pass_(seconds(11))

    assert await watched.vitals() == ("the scheduler is silent", "ended by a bug: channel ops")


async def test_a_store_that_takes_no_writes_is_said_by_the_store(watched, monkeypatch):
    async def full():
        raise StoreUnavailable("the store refused: MISCONF")

    monkeypatch.setattr(watched.store, "ping", full)
    with pytest.raises(StoreUnavailable):
        await watched.vitals()


FAILING = ChannelHealth(at=NOON, row=4)


@pytest.mark.parametrize(
    ("more", "health", "found"),
    [
        ("", {"chat": ChannelHealth(at=NOON, row=3), "ops": ChannelHealth(at=NOON)}, {}),
        ("", {"chat": FAILING}, {"chat": ("ops",)}),
        ("fallback_channel: ops", {"chat": FAILING}, {"chat": ("ops",)}),
        ("", {"ops": ChannelHealth(at=NOON, dead=1)}, {"ops": ("chat",)}),
    ],
)
def test_who_hears_of_a_failing_channel(configured, more, health, found):
    assert audiences(configured(more), health) == found
