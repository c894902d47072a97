"""The values people write: exact, unambiguous, and refused with the way to write them."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from monitor.fields import (
    Context,
    Percentage,
    RateLimits,
    Secret,
    Threshold,
    amount,
    duration,
    duration_text,
    threshold,
    unread,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("0s", timedelta(0)),
        ("1.5s", timedelta(milliseconds=1500)),
        ("0.1ms", timedelta(microseconds=100)),
        ("1000000000000ms", timedelta(milliseconds=10**12)),
    ],
)
def test_a_duration_means_what_it_says(written, meant):
    assert duration(written) == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        pytest.param("60", "'60' is not a duration, write 60s", id="no unit"),
        pytest.param(60, "'60' is not a duration, write 60s", id="a number"),
        pytest.param("5 m", "'5 m' is not a duration, write it like 30s, 5m or 1h30m", id="a space"),
        pytest.param("-5m", "'-5m' is not a duration, write it like 30s, 5m or 1h30m", id="negative"),
        pytest.param("", "'' is not a duration, write it like 30s, 5m or 1h30m", id="nothing"),
        pytest.param(True, "'True' is not a duration, write it like 30s, 5m or 1h30m", id="a boolean"),
        pytest.param("٣s", "'٣s' is not a duration, write it like 30s, 5m or 1h30m", id="other digits"),
        pytest.param("200000w", "'200000w' is longer than a century", id="too long"),
        pytest.param("9999999999999999s", "'9999999999999999s' is longer than a century", id="far too long"),
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_the_way_to_write_it(written, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        duration(written)


@given(st.integers(0, 10**12).map(lambda ms: timedelta(milliseconds=ms)))
def test_a_written_duration_reads_back_the_same(value):
    assert duration(duration_text(value)) == value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("250_000", "250000"),
        ("0.01", "0.01"),
        (250_000, "250000"),
        (Decimal("250.10"), "250.10"),
        ("-5", "-5"),
        ("1_000.000_1", "1000.0001"),
    ],
)
def test_an_amount_keeps_every_digit(written, meant):
    assert str(amount(written)) == meant


@pytest.mark.parametrize(
    "written", [1.5, True, None, "", "1e5", " 5", "5 ", "1,000", "NaN", "Infinity", "٣", ".5", [], {}]
)
def test_what_is_no_amount_is_refused(written):
    with pytest.raises(ValueError, match="is not an amount, write it like 250_000"):
        amount(written)


@pytest.mark.parametrize("written", ["9" * 61, Decimal("1e46"), Decimal("NaN"), "0." + "0" * 59 + "1"])
def test_an_amount_nobody_has_is_refused(written):
    with pytest.raises(ValueError, match="amount"):
        amount(written)


def test_a_threshold_is_an_amount_or_a_percentage():
    assert threshold("25%") == Threshold(Decimal(25), percent=True)
    assert threshold("2.5 %") == Threshold(Decimal("2.5"), percent=True)
    assert threshold(250_000) == Threshold(Decimal(250_000))
    assert [str(threshold(text)) for text in ("25%", "1_000")] == ["25%", "1000"]
    with pytest.raises(ValueError, match="'much' is neither an amount"):
        threshold("much")


@pytest.mark.parametrize(
    ("written", "said"),
    [(10, "write 10%"), ("10", "write 10%"), ("100%", "below 100%"), ("x", "like 10%")],
)
def test_a_percentage_needs_its_sign(written, said):
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(Percentage).validate_python(written)


class Holder(BaseModel):
    key: Secret


def held(value, **context):
    return Holder.model_validate({"key": value}, context=Context(**context)).key


def test_a_secret_comes_from_the_environment_a_file_or_the_text(tmp_path):
    (tmp_path / "key").write_text("from-a-file\n")

    assert held({"env": "KEY"}, environment={"KEY": "from-there"}).get_secret_value() == "from-there"
    assert held({"file": "key"}, base=tmp_path).get_secret_value() == "from-a-file"
    assert held("plain").get_secret_value() == "plain"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"env": "KEY"}, "the environment variable KEY is not set"),
        ({"env": "EMPTY"}, "the environment variable EMPTY is empty"),
        ({"file": "none"}, "cannot read the secret file none: No such file or directory"),
        ({"file": "empty"}, "the secret file empty is empty"),
        ({"file": "binary"}, "cannot read the secret file binary: it is not text"),
        ({"file": "a\0b"}, "cannot read the secret file"),
        ({"env": "A", "file": "b"}, "a secret is {env: NAME}, {file: PATH} or a non-empty string"),
        ({"env": 5}, "a secret is"),
        ("", "a secret is"),
        (5, "a secret is"),
        (None, "a secret is"),
    ],
)
def test_a_secret_that_cannot_be_had_is_a_mistake(tmp_path, written, said):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    with pytest.raises(ValidationError) as caught:
        held(written, base=tmp_path, environment={"EMPTY": ""})

    assert said in str(caught.value)


def test_secrets_are_left_alone_when_nobody_wants_them():
    assert unread(held({"env": "KEY"}, secrets=False, environment={}))
    assert unread(held({"file": "none"}, secrets=False))
    assert not unread(held("plain", secrets=False))


def test_a_secret_shows_in_no_repr():
    assert "hunter2" not in repr(Holder(key="hunter2"))


def test_one_rate_limit_may_stand_for_a_list():
    one = TypeAdapter(RateLimits).validate_python({"requests": 10, "per": "1s"})
    two = TypeAdapter(RateLimits).validate_python([{"requests": 10, "per": "1s"}, {"requests": 100, "per": "1m"}])

    assert [(limit.requests, limit.per) for limit in one] == [(10, timedelta(seconds=1))]
    assert len(two) == 2
