from datetime import UTC, datetime, timedelta

import pytest

from monitor.api.auth import Bucket, Rate, Token, by_digest, find, is_loopback, rate, speaks_locally

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
READER = Token.of("grafana", "r34d-s3cret", ["read"])
ADMIN = Token.of("ops", "4dm1n-s3cret", ["admin"])


@pytest.mark.parametrize(
    ("header", "name"),
    [
        pytest.param("Bearer r34d-s3cret", "grafana", id="the token"),
        pytest.param("bearer r34d-s3cret", "grafana", id="the scheme in any case"),
        pytest.param("Bearer   4dm1n-s3cret ", "ops", id="blanks around it"),
        pytest.param("Bearer r34d-s3cre", None, id="one character short"),
        pytest.param("Bearer ", None, id="nothing"),
        pytest.param("", None, id="no header"),
        pytest.param("Basic r34d-s3cret", None, id="another scheme"),
        pytest.param("r34d-s3cret", None, id="no scheme"),
        pytest.param("Bearer r34d-s3cret x", None, id="more than one"),
        pytest.param("Bearer " + "x" * 5000, None, id="endless"),
    ],
)
def test_only_the_whole_token_is_known(header, name):
    found = find(by_digest((READER, ADMIN)), header)

    assert (found.name if found else None) == name


def test_admin_may_everything_and_others_only_what_they_hold():
    assert ADMIN.may(["read"])
    assert ADMIN.may(["guard"])
    assert READER.may(["read"])
    assert not READER.may(["guard", "admin"])


def test_a_token_never_shows_its_secret_nor_its_hash():
    assert repr(READER) == "Token(name='grafana', scopes=frozenset({'read'}), rate=None)"


def test_a_rate_is_a_burst_and_then_a_trickle():
    bucket, allowed = Bucket(2, NOON), Rate(2, timedelta(seconds=1))

    assert [bucket.take(allowed, NOON) for _ in range(3)] == [None, None, timedelta(seconds=0.5)]
    assert bucket.take(allowed, NOON + timedelta(seconds=0.5)) is None
    assert bucket.take(allowed, NOON + timedelta(seconds=0.6)) == timedelta(seconds=0.4)


def test_an_idle_token_saves_up_one_burst_and_no_more():
    bucket, allowed = Bucket(2, NOON), Rate(2, timedelta(seconds=1))
    later = NOON + timedelta(hours=1)

    assert [bucket.take(allowed, later) is None for _ in range(3)] == [True, True, False]


def test_a_clock_that_steps_back_neither_refills_nor_locks_for_ever():
    bucket, allowed = Bucket(1, NOON), Rate(1, timedelta(seconds=1))

    assert bucket.take(allowed, NOON) is None
    assert bucket.take(allowed, NOON - timedelta(hours=1)) == timedelta(seconds=1)
    assert bucket.take(allowed, NOON - timedelta(hours=1) + timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2000/s", Rate(2000, timedelta(seconds=1))),
        ("1/m", Rate(1, timedelta(minutes=1))),
        ("10/h", Rate(10, timedelta(hours=1))),
    ],
)
def test_a_rate_is_written_per_unit(text, meant):
    assert rate(text) == meant


@pytest.mark.parametrize("text", ["", "0/s", "-1/s", "5", "5/d", "1.5/s", "٣/s", "5 / s"])
def test_anything_else_is_no_rate(text):
    with pytest.raises(ValueError, match="write it like 2000/s"):
        rate(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_this_machine_is_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "10.0.0.1", "localhost.evil.example", "::", "example"])
def test_anything_else_is_not(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "origin", "local"),
    [
        pytest.param("127.0.0.1:8787", None, True, id="by address"),
        pytest.param("localhost", None, True, id="by name"),
        pytest.param("[::1]:8787", None, True, id="by address, six"),
        pytest.param("localhost:8787", "http://localhost:3000", True, id="a local dashboard"),
        pytest.param("evil.example:8787", None, False, id="a name that was made to point here"),
        pytest.param("127.0.0.1.evil.example", None, False, id="a name that looks like an address"),
        pytest.param("127.0.0.1:8787", "https://evil.example", False, id="a form on another page"),
        pytest.param("127.0.0.1:8787", "null", False, id="a sandboxed page"),
        pytest.param("evil@127.0.0.1@evil.example", None, False, id="user information tricks"),
        pytest.param("[::1", None, False, id="broken"),
        pytest.param("", None, False, id="empty"),
        pytest.param(None, None, False, id="none at all"),
    ],
)
def test_without_tokens_only_this_machine_is_answered(host, origin, local):
    assert speaks_locally(host, origin) is local
