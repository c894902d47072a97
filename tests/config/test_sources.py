"""When the files of a configuration count as changed, and that reading them holds up nobody."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from monitor.config import load
from monitor.config.sources import FileWatch, Sources, aside
from monitor.errors import ConfigError

CONFIG = """\
version: 1
providers:
  bank:
    type: cryptofuse
    base_url: https://bank.example
    auth: {api_key: {file: key}}
    accounts_from: players.csv
channels: {ops: {type: webhook, url: "https://chat.example/x", secret: {file: hook}}}
rules: [rules/*.yaml]
"""
RULES = "rules: [{alert: Low, type: low_balance, below: 5}]\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rules").mkdir()
    for name, text in {
        "config.yaml": CONFIG,
        "key": "k-1",
        "hook": "whsec_" + "YWJj" * 8,
        "players.csv": "id,wallet_id\np1,w1\n",
        "rules/low.yaml": RULES,
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def read(folder):
    sources = Sources()
    with suppress(ConfigError):
        load(folder / "config.yaml", sources=sources)
    return sources


def append(path):
    path.write_text(path.read_text() + "\n")


def replaced(path):
    fresh = path.with_suffix(".new")
    fresh.write_text(path.read_text())
    os.utime(fresh, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    fresh.replace(path)


def swapped(folder):
    """As Kubernetes does: what the link names is another file from one moment to the next."""
    for version in ("..1", "..2"):
        (folder / version).mkdir()
        (folder / version / "more.yaml").write_text("rules: []\n")
    (folder / "..data").symlink_to("..1")
    (folder / "rules/more.yaml").symlink_to("../..data/more.yaml")
    sources = read(folder)
    (folder / "..fresh").symlink_to("..2")
    (folder / "..fresh").replace(folder / "..data")
    return sources


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda it: append(it / "config.yaml"), id="the configuration"),
        pytest.param(lambda it: append(it / "rules/low.yaml"), id="a rule file"),
        pytest.param(lambda it: (it / "rules/new.yaml").write_text("rules: []\n"), id="a new file that a glob names"),
        pytest.param(lambda it: (it / "rules/low.yaml").unlink(), id="a rule file that is gone"),
        pytest.param(lambda it: append(it / "players.csv"), id="a list of accounts"),
        pytest.param(lambda it: append(it / "key"), id="a secret"),
        pytest.param(lambda it: replaced(it / "hook"), id="a file put in its place"),
        pytest.param(lambda it: (it / "key").chmod(0o400), id="who may read a file"),
    ],
)
async def test_a_change_of_anything_that_was_read_is_said_once_it_has_come_to_rest(folder, change):
    files = FileWatch(read(folder))
    assert [await files.changed() for _ in range(3)] == [False, False, False]

    change(folder)

    assert [await files.changed() for _ in range(4)] == [False, True, False, False]


async def test_a_folder_that_is_swapped_by_its_link_has_changed(folder):
    files = FileWatch(swapped(folder))

    assert [await files.changed() for _ in range(2)] == [False, True]


async def test_a_file_that_is_still_being_written_is_left_alone(folder):
    files = FileWatch(read(folder))
    said = []
    for _ in range(3):
        append(folder / "rules/low.yaml")
        said.append(await files.changed())

    assert said == [False, False, False]
    assert await files.changed()


async def test_a_change_between_the_reading_and_the_next_look_is_not_missed(folder):
    sources = read(folder)
    append(folder / "rules/low.yaml")
    files = FileWatch(sources)

    assert [await files.changed() for _ in range(2)] == [False, True]
    files.sources = read(folder)
    assert [await files.changed() for _ in range(2)] == [False, False]


async def test_what_a_bad_configuration_lacks_is_noticed_when_it_is_there(folder):
    (folder / "hook").unlink()
    files = FileWatch(read(folder))
    assert not await files.changed()

    (folder / "hook").write_text("whsec_" + "YWJj" * 8)

    assert [await files.changed() for _ in range(2)] == [False, True]


async def test_what_no_reading_stamps_is_said_once_and_not_for_ever(folder):
    sources = read(folder)
    del sources.files[folder / "key"]
    sources.matching(folder, "key")
    files = FileWatch(sources)

    assert [await files.changed() for _ in range(5)] == [False, True, False, False, False]


async def test_a_pipe_is_read_once_and_never_looks_changed(tmp_path):
    os.mkfifo(tmp_path / "config.yaml")
    sources = Sources()
    sources.note(tmp_path / "config.yaml")

    assert [await FileWatch(sources).changed() for _ in range(2)] == [False, False]


async def test_nobody_waits_for_a_read_that_never_ends():
    ended = Event()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await aside(ended.wait)

    assert time.monotonic() - began < 5
    ended.set()


async def test_what_a_read_raises_is_raised_to_whoever_waits():
    with pytest.raises(FileNotFoundError):
        await aside(Path("/nowhere/at/all").read_text)


@pytest.mark.parametrize(
    ("name", "old", "new", "same"),
    [
        ("config.yaml", "version: 1", 'version: 1\nhttp: {listen: "127.0.0.1:9999"}\nlog: {level: debug}', True),
        ("config.yaml", "version: 1", "version: 1  # since spring", True),
        ("key", "k-1", "k-2", True),
        ("config.yaml", "version: 1", "version: 1\ndefaults: {interval: 5s}", False),
        ("rules/low.yaml", "below: 5", "below: 6", False),
        ("players.csv", "w1", "w2", False),
    ],
)
def test_processes_that_differ_in_what_is_their_own_judge_alike(folder, name, old, new, same):
    before = load(folder / "config.yaml")
    file = folder / name
    file.write_text(file.read_text().replace(old, new))

    after = load(folder / "config.yaml")

    assert after.digest != before.digest
    assert (after.meaning == before.meaning) is same
