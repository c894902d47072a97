"""Processes are killed, stopped and lied to while bets are placed, and nobody ever gets money that is promised."""

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random

import aiohttp
import pytest
import redis

from monitor.store import datadir
from tests.e2e.conftest import until
from tests.ports import free_port

#: A deadline that no machine is too slow for, where a test is not about it.
GUARD = {"posting_delay": "never", "read_lag": "100ms", "audit": "off", "deadline": "10s"}
WALLETS = ("red", "blue")
TOLD = (200, 201)


@dataclass
class Casino:
    """Bets, each under its own id, that are played to their end; and what the guard has promised in all.

    A call that is not answered is repeated. `answered` are the decisions by id, `promised` what was allowed and is
    neither booked, nor rolled back, nor over.
    """

    books: dict
    ports: list
    rnd: Random = field(default_factory=lambda: Random(7))
    answered: dict = field(default_factory=dict)
    promised: dict = field(default_factory=dict)
    statuses: set = field(default_factory=set)
    over: bool = False

    async def ask(self, method, path, body=None, port=None, patience=20):
        """(status, answer); (0, {}) when nobody answers."""
        url = f"http://127.0.0.1:{port or self.rnd.choice(self.ports)}{path}"
        try:
            async with asyncio.timeout(patience), self.session.request(method, url, json=body) as answer:
                self.statuses.add(answer.status)
                return answer.status, await answer.json(content_type=None)
        except (TimeoutError, aiohttp.ClientError):
            return 0, {}

    async def hold(self, name, wallet, amount, port=None, ttl="60s", patience=20):
        bet = {"account": wallet, "asset": "USDT", "amount": str(amount), "ttl": ttl}
        return await self.ask("PUT", f"/v1/holds/{name}", bet, port, patience)

    async def surely(self, call):
        """The first answer that is one."""
        for _ in range(1_500):
            status, answer = await call()
            if status not in (0, 503):
                return status, answer
            await asyncio.sleep(0.02)
        raise AssertionError("nobody answers")

    def count(self, wallet):
        """At no instant is more promised than the provider has."""
        owed = sum(amount for where, amount in self.promised.values() if where == wallet)
        assert owed <= self.books[wallet], f"{owed} promised on {self.books[wallet]} in {wallet}"

    async def bet(self, name):
        wallet, amount, rnd = self.rnd.choice(WALLETS), self.rnd.randint(1, 40), self.rnd
        status, answer = await self.surely(lambda: self.hold(name, wallet, amount))
        assert status in TOLD, answer
        self.answered[name] = wallet, amount, answer["reason"]
        if answer["reason"] != "OK":
            return
        self.promised[name] = wallet, amount
        self.count(wallet)
        await asyncio.sleep(rnd.uniform(0, 0.05))
        fate = rnd.random()
        if fate < 0.3:
            del self.promised[name]
            assert (await self.surely(lambda: self.ask("POST", f"/v1/holds/{name}/release")))[0] == 200
            self.answered[name] = wallet, amount, "HOLD_TOMBSTONED"
        elif fate < 0.8:
            final = rnd.randint(1, amount)
            body = {"amount": str(final)}
            assert (await self.surely(lambda: self.ask("POST", f"/v1/holds/{name}/commit", body)))[0] == 200
            del self.promised[name]
            self.books[wallet] -= final
            self.count(wallet)
            assert (await self.surely(lambda: self.ask("POST", f"/v1/holds/{name}/settled")))[0] == 200

    async def play(self, number):
        turn = 0
        while not self.over:
            await self.bet(f"bet-{number}-{turn}")
            turn += 1
            if self.rnd.random() < 0.3:
                self.books[self.rnd.choice(WALLETS)] += self.rnd.randint(1, 20)

    @asynccontextmanager
    async def storm(self, players=6):
        """Bets are placed meanwhile; afterwards every bet is asked for again, and told the same."""
        self.over = False
        async with asyncio.TaskGroup() as group:
            for number in range(players):
                group.create_task(self.play(f"{len(self.answered)}-{number}"))
            yield
            self.over = True
        await self.again()

    async def again(self):
        await asyncio.gather(*(self.same(name, *told) for name, told in self.answered.items()))

    async def same(self, name, wallet, amount, reason):
        status, answer = await self.surely(lambda: self.hold(name, wallet, amount))
        assert (status, answer["reason"]) == (200, reason), (name, answer)

    async def bets(self, count):
        """So many more have been answered."""
        before = len(self.answered)
        await until(lambda: len(self.answered) >= before + count, f"{count} more bets")


@pytest.fixture
async def casino(bank, place):
    bank.held = dict.fromkeys(WALLETS, 200)
    async with aiohttp.ClientSession() as session:
        it = Casino(bank.held, [place.port])
        it.session = session
        yield it


async def start(place, casino, *, store="embedded:./data", fsync="everysec", roles="poll,deliver,api", **guard):
    """A daemon whose guard has seen all wallets."""
    place.write(wallets=WALLETS, store=store)
    file = place.path / "config.yaml"
    said = ", ".join(f"{key}: {value}" for key, value in {**GUARD, **guard}.items())
    text = file.read_text().replace(f'url: "{store}"', f'url: "{store}", fsync: {fsync}')
    file.write_text(f"{text}guard: {{{said}}}\n")
    daemon = await place.start(roles=roles)
    await until(lambda: sees(casino, daemon), "all wallets are known")
    return daemon


async def free(casino, wallet, amount, port):
    """Whether so much can be held; it is, then."""
    _, answer = await casino.hold(f"next-{time.monotonic()}", wallet, amount, port)
    return answer.get("reason") == "OK"


async def sees(casino, daemon):
    told = [
        await casino.ask("POST", "/v1/checks", {"account": one, "asset": "USDT", "amount": "1"}, daemon.port)
        for one in WALLETS
    ]
    return all(answer.get("balance") and answer["balance"]["last_seen"] for _, answer in told)


@pytest.fixture
async def kept(redis_server):
    """A server that a new guard trusts."""
    with redis.Redis(port=redis_server.port) as client:
        client.config_set("appendonly", "yes")
    return redis_server


async def test_a_daemon_that_is_killed_among_bets_loses_none_and_promises_nothing_twice(place, casino):
    daemon = await start(place, casino)
    async with casino.storm():
        await casino.bets(40)
        await daemon.kill()
        await place.start()
        await casino.bets(40)
    assert {reason for *_, reason in casino.answered.values()} == {"OK", "INSUFFICIENT_FUNDS", "HOLD_TOMBSTONED"}


async def test_fsync_always_a_store_that_is_killed_among_bets_loses_none(place, casino):
    daemon = await start(place, casino, fsync="always")
    async with casino.storm():
        await casino.bets(40)
        kill_server(place)
        await casino.bets(40)
        kill_server(place)
        await daemon.kill()
        await place.start()
        await casino.bets(40)
    assert {reason for *_, reason in casino.answered.values()} == {"OK", "INSUFFICIENT_FUNDS", "HOLD_TOMBSTONED"}


def kill_server(place):
    [pid] = datadir.servers_in((place.path / "data").resolve())
    os.kill(pid, signal.SIGKILL)


async def test_a_process_that_was_stopped_past_the_ttl_allows_nothing_that_is_over(place, casino, kept):
    first = await start(place, casino, store=kept.url, deadline="1s")
    place.port = free_port()
    second = await start(place, casino, store=kept.url)
    kept.process.send_signal(signal.SIGSTOP)
    asked = asyncio.create_task(casino.hold("late", "red", 150, first.port, ttl="300ms"))
    await asyncio.sleep(0.3)  # it has asked the store
    first.process.send_signal(signal.SIGSTOP)
    kept.process.send_signal(signal.SIGCONT)
    await until(lambda: free(casino, "red", 150, second.port), "the store has answered, and the hold is over")
    first.process.send_signal(signal.SIGCONT)

    status, answer = await asked
    assert (status, answer["type"]) == (503, "deadline-exceeded")
    assert (await casino.hold("late", "red", 150, first.port))[1]["reason"] == "HOLD_TOMBSTONED"
    assert (await casino.hold("more", "red", 60, first.port))[1]["reason"] == "INSUFFICIENT_FUNDS"


async def test_while_the_store_stands_still_nobody_is_answered_and_what_was_reserved_late_is_refused(
    place, casino, kept, until
):
    daemon = await start(place, casino, store=kept.url, deadline="250ms")
    kept.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    told = await asyncio.gather(*(casino.hold(f"late-{number}", "red", 10) for number in range(20)))
    took = time.monotonic() - began
    kept.process.send_signal(signal.SIGCONT)

    assert {(status, answer["type"]) for status, answer in told} == {(503, "deadline-exceeded")}
    # The test's own slowness included.
    assert took < 4

    await until(lambda: free(casino, "red", 200, daemon.port), "all of it is free again")
    again = [await casino.hold(f"late-{number}", "red", 10) for number in range(20)]
    assert {answer["reason"] for _, answer in again} == {"HOLD_TOMBSTONED"}


async def test_processes_whose_clocks_are_wrong_by_hours_answer_as_others_would(place, casino, kept):
    place.wrong_by = -5
    await start(place, casino, store=kept.url)
    place.port, place.wrong_by = free_port(), 5
    await start(place, casino, store=kept.url, roles="api")
    casino.ports.append(place.port)
    async with casino.storm(players=3):
        await casino.bets(40)
    session = {"provider": "bank", "wallet_id": "player-7", "interval": "200ms", "expires_in": "1h"}
    assert (await casino.ask("PUT", "/v1/accounts/player-7", session, casino.ports[1]))[0] == 201

    async def reasons():
        bet = {"account": "player-7", "asset": "USDT", "amount": "1"}
        answers = await asyncio.gather(*(casino.ask("POST", "/v1/checks", bet, port) for port in casino.ports))
        return {answer["reason"] for _, answer in answers}

    async def are(expected):
        return await reasons() == {expected}

    await until(lambda: are("OK"), "all know the session")
    began = time.monotonic()
    assert (await casino.ask("PUT", "/v1/accounts/player-7", session | {"expires_in": "3s"}, casino.ports[1]))[0] == 200
    await until(lambda: are("SESSION_EXPIRED"), "all know that it is over")
    assert time.monotonic() - began > 2.9


async def test_settings_may_differ_between_processes_and_change_among_bets(place, casino, kept):
    first = await start(place, casino, store=kept.url)
    other = replace(place, path=place.path / "other", port=free_port())
    other.path.mkdir()
    casino.ports.append(other.port)
    strict = {"read_lag": "300ms", "amount": '{min: "5", max: "30"}', "hold_ttl": "{default: 5s, max: 60s}"}
    await start(other, casino, store=kept.url, **strict)
    file = place.path / "config.yaml"
    async with casino.storm():
        await casino.bets(40)
        for count, most in ((1, 30), (2, 5000)):
            others = f'guard: {{amount: {{max: "{most}"}}, read_lag: 1s, deadline: 2s}}'
            file.write_text(file.read_text().partition("guard:")[0] + others)
            first.process.send_signal(signal.SIGHUP)
            await until(lambda n=count: len(first.said("config.reloaded")) == n, "it works by other settings")
            await casino.bets(40)
    assert casino.statuses == {200, 201}
    assert {"AMOUNT_BELOW_MIN", "AMOUNT_ABOVE_MAX"} <= {reason for *_, reason in casino.answered.values()}


async def test_what_was_held_for_nobody_is_given_back_by_a_process_that_is_told_to_end(place, casino, kept):
    first = await start(place, casino, store=kept.url, deadline="1s")
    kept.process.send_signal(signal.SIGSTOP)
    status, answer = await casino.hold("late", "red", 150, first.port)
    assert (status, answer["type"]) == (503, "deadline-exceeded")

    ending = asyncio.create_task(first.stop())
    await asyncio.sleep(0.3)  # it is about to leave, and the store is still silent
    kept.process.send_signal(signal.SIGCONT)

    assert await ending == 0
    second = await start(place, casino, store=kept.url)
    assert (await casino.hold("next", "red", 150, second.port))[1]["reason"] == "OK"
    assert (await casino.hold("late", "red", 150, second.port))[1]["reason"] == "HOLD_TOMBSTONED"
