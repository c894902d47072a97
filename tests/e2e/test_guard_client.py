"""What the README shows of the guard works as it stands there, against a running daemon."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

GUARD = re.findall(
    r"^## The pre-bet guard\n.*?(?=^## )", Path("README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
)[0]
[CLIENT] = re.findall(r"^```python\n(.*?)^```$", GUARD, re.DOTALL | re.MULTILINE)
CURLS = re.findall(r"^```sh\n(curl .*?)^```$", GUARD, re.DOTALL | re.MULTILINE)
TOKEN, SECRET = "client-token-81c0", "client-secret-20ff"
TOKENS = f"tokens: [{{name: casino, token: {TOKEN}, scopes: [guard]}}]"
PATIENT = "guard: {deadline: 10s}\n"
SIGNING = f"guard: {{deadline: 10s, signing: {{keys: [{{id: op-7, secret: {SECRET}}}]}}}}\n"
PLAYERS = ("player-7", "player-9")


async def running(place, bank, more=PATIENT):
    """A daemon that has read the balances of both players, and wants tokens."""
    bank.held = dict.fromkeys(PLAYERS, 500)
    place.write(wallets=PLAYERS[:1])
    config = place.path / "config.yaml"
    config.write_text(config.read_text().replace(f':{place.port}"}}', f':{place.port}", {TOKENS}}}') + more)
    return await place.start()


@pytest.fixture
def client(place):
    """The README's client, as a module of its own."""
    found = {}
    exec(compile(CLIENT, "README.md", "exec"), found)

    def make(**changes):
        return found["Guard"](f"http://127.0.0.1:{place.port}", **{"token": TOKEN, "timeout": 30, **changes})

    make.problem = found["NoDecision"]
    return make


async def seen(guard, until):
    """The first reading has arrived."""

    async def allowed():
        name = f"seen-{os.urandom(4).hex()}"
        return await asyncio.to_thread(guard.hold, name, "player-7", "USDT", "0.01", "1s")

    await until(allowed, "the wallet is read")


async def test_the_client_of_the_readme_holds_commits_settles_and_rolls_back_with_signed_requests(
    place, bank, until, client
):
    await running(place, bank, SIGNING)
    guard = client(key="op-7", secret=SECRET.encode())
    await seen(guard, until)

    def plays():
        assert guard.hold("bet-1", "player-7", "USDT", "400")
        assert guard.hold("bet-1", "player-7", "USDT", "400")
        assert not guard.hold("bet-2", "player-7", "USDT", "400")
        assert guard.commit("bet-1", "350.00") == guard.commit("bet-1", "350.00")
        assert guard.settled("bet-1")["state"] == "settled"
        assert guard.hold("bet|3@x=y", "player-7", "USDT", "20")
        assert guard.release("bet|3@x=y")["state"] == "released"
        assert guard.release("never-came")["state"] == "tombstone"
        assert not guard.hold("never-came", "player-7", "USDT", "1")

    await asyncio.to_thread(plays)
    for change, call, problem in [
        ({}, lambda one: one.release("bet-1"), ("hold-already-committed", False)),
        ({}, lambda one: one.hold("bet-1", "player-7", "USDT", "1"), ("hold-id-reused", False)),
        ({"token": "another"}, lambda one: one.release("bet-1"), ("unauthorized", False)),
        ({"key": None}, lambda one: one.release("bet-1"), ("signature-invalid", False)),
        ({"key": "op-8"}, lambda one: one.release("bet-1"), ("key-not-allowed", False)),
    ]:
        with pytest.raises(client.problem) as caught:
            await asyncio.to_thread(call, client(**{"key": "op-7", "secret": SECRET.encode(), **change}))
        assert (caught.value.type, caught.value.again) == problem


async def test_the_client_of_the_readme_takes_silence_for_no_decision(place, client):
    with pytest.raises(client.problem) as caught:
        await asyncio.to_thread(client().hold, "bet-1", "player-7", "USDT", "1")

    assert (caught.value.type, caught.value.again) == ("no-answer", True)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param((200, "text/html", "<h1>Please log in</h1>"), id="a page"),
        pytest.param((200, "application/json", "{}"), id="another service"),
        pytest.param((200, "application/json", '["allow"]'), id="no object"),
        pytest.param((503, "text/html", "<h1>No healthy upstream</h1>"), id="a balancer"),
        pytest.param((503, "application/json", '{"type": "over'), id="a problem cut off"),
        pytest.param((503, "application/json", '"unavailable"'), id="a text"),
        pytest.param((404, "application/json", '{"message": "no route"}'), id="a gateway"),
    ],
)
async def test_the_client_of_the_readme_takes_whatever_else_is_answered_for_no_decision(place, client, said):
    status, kind, text = said

    async def somebody(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n"
        writer.write((head + text).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(somebody, "127.0.0.1", place.port):
        with pytest.raises(client.problem) as caught:
            await asyncio.to_thread(client().release, "bet-1")

    assert (caught.value.type, caught.value.again) == ("no-answer", True)


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
async def test_the_curl_lines_of_the_readme_are_answered(place, bank, until, client):
    await running(place, bank)
    await seen(client(), until)

    def run(line):
        line = line.replace("127.0.0.1:8787", f"127.0.0.1:{place.port}").replace('"casino"', '"bank"')
        line = line.replace("external_id", "wallet_id")
        done = subprocess.run(
            ["sh", "-c", line], env={**os.environ, "GUARD_TOKEN": TOKEN}, capture_output=True, check=True
        )
        return json.loads(done.stdout)

    held, watched = [await asyncio.to_thread(run, line) for line in CURLS]

    assert (held["decision"], held["hold"]["id"], held["balance"]["last_seen"]) == ("allow", "bet-42", "500")
    assert watched["id"] == "player-9"
