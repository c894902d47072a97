"""The daemon as an object: what a process that runs cannot be made to do."""

import asyncio
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from monitor import app
from monitor.app import ROLES, Daemon
from monitor.config import load
from monitor.config.sources import Sources


@pytest.fixture
def daemon(tmp_path):
    (tmp_path / "config.yaml").write_text("version: 1\nrules: []\n")
    sources = Sources()
    config = load(tmp_path / "config.yaml", sources=sources)
    return Daemon(Path(tmp_path / "config.yaml"), config, sources, ROLES)


async def until(there):
    async with asyncio.timeout(30):
        while not there():
            await asyncio.sleep(0.01)


async def test_a_bug_in_reading_a_file_is_told_and_ends_no_daemon_that_works_by_another_one(daemon, monkeypatch):
    def broken(*_args, **_kwargs):
        raise RecursionError

    monkeypatch.setattr(app, "load", broken)
    with capture_logs() as logs:
        serving = asyncio.create_task(daemon._serve())
        daemon._hang_up()
        await until(lambda: logs and daemon.concerns._held)
        told = dict(daemon.concerns._held)
        daemon.stop()
        await serving

    assert [line["event"] for line in logs] == ["config.bug"]
    assert [report.why for report in told.values()] == ["bug in reading it: RecursionError"]


async def test_a_configuration_that_cannot_be_worked_by_leaves_the_one_in_force(daemon, monkeypatch):
    class Broken(app.Crew):
        async def prepare(self):
            raise ValueError("nobody thought of that")

    daemon.session = daemon.chat_session = None
    daemon.store = SimpleNamespace(keep=None)
    before = daemon.config, daemon._new_crew(daemon.config)
    daemon._employ(*before)
    monkeypatch.setattr(app, "Crew", Broken)
    daemon.path.write_text("version: 1\nrules: []\nshutdown_timeout: 1s\n")
    with capture_logs():
        serving = asyncio.create_task(daemon._serve())
        daemon._hang_up()
        await until(lambda: daemon.concerns._held)
        daemon.stop()
        await serving

    assert (daemon.config, daemon.crew) == before
    assert daemon._leaving == {}
    assert [name for name, _ in daemon.concerns._held] == ["ConfigReloadFailed"]


async def test_a_reload_changes_how_much_history_is_kept(daemon, monkeypatch):
    class Idle(app.Crew):
        async def prepare(self):
            self.kicker = None

        def start(self):
            pass

        async def probe(self):
            daemon.stop()

    daemon.session = daemon.chat_session = None
    daemon.store, daemon.duties = SimpleNamespace(keep=None), SimpleNamespace(crew=None)
    daemon.roles = frozenset()
    monkeypatch.setattr(app, "Crew", Idle)
    monkeypatch.setattr(app.logs, "configure", lambda *_: None)
    daemon._employ(daemon.config, daemon._new_crew(daemon.config))
    daemon.path.write_text("version: 1\nrules: []\nhistory: {keep: 1d}\n")

    with capture_logs():
        daemon._hang_up()
        async with asyncio.timeout(5):
            await daemon._serve()

    assert daemon.store.keep.age == timedelta(days=1)
