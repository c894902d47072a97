import asyncio
import base64
import io
import json
import logging
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from monitor import log as logs
from monitor.fields import Secret
from monitor.log import LINE_MAX, TRACEBACK_MAX, VALUE_MAX, catch_uncaught, configure
from monitor.redact import MASK, Redactor, register

NOON = datetime(2026, 11, 20, 13, tzinfo=timezone(timedelta(hours=1)))
CANARY = "c4nary/s3cret+key=="


@pytest.fixture
def out():
    root = logging.getLogger()
    before, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    stream = io.BytesIO()
    configure("info", "json", stream, lambda: NOON)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)
    logging.raiseExceptions = raising


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_its_time_level_and_event_first(out):
    structlog.get_logger("monitor.poll").warning("account.failing", account="hot-usdt", seconds=1.5)

    assert out.getvalue() == (
        b'{"timestamp":"2026-11-20T12:00:00.000Z","level":"warning","event":"account.failing",'
        b'"account":"hot-usdt","seconds":1.5}\n'
    )


def test_lines_below_the_level_are_not_written_and_a_reload_may_change_it(out):
    log = structlog.get_logger()

    log.debug("poll.done")
    configure("debug", "json", out, lambda: NOON)
    log.debug("poll.done", again=True)

    assert [line.get("again") for line in lines(out)] == [True]


def test_values_arrive_exact_and_readable(out):
    structlog.get_logger().info(
        "kinds.shown",
        amount=Decimal("1E-8"),
        odd=Decimal("NaN"),
        at=NOON,
        day=date(2026, 11, 20),
        wait=timedelta(seconds=90),
        nested={"b": [Decimal("0.10"), None, True]},
        path=Path("/data"),
        huge=2**80,
        kind=ValueError,
        error=ValueError("no such asset"),
        broken="\ud800",
    )

    [line] = lines(out)
    assert line["amount"] == "0.00000001"
    assert line["odd"] == "NaN"
    assert line["at"] == "2026-11-20T12:00:00.000Z"
    assert (line["day"], line["wait"]) == ("2026-11-20", "0:01:30")
    assert line["nested"] == {"b": ["0.10", None, True]}
    assert line["path"] == "PosixPath('/data')"
    assert line["huge"] == str(2**80)
    assert (line["kind"], line["error"]) == ("ValueError", "ValueError: no such asset")
    assert line["broken"] == "\\ud800"


class Spiteful:
    def __repr__(self):
        raise RuntimeError("no")


class SpitefulError(Exception):
    def __str__(self):
        raise RuntimeError("no")


def test_nothing_that_is_logged_can_raise(out):
    log = structlog.get_logger()
    circle = []
    circle.append(circle)

    log.info("spite.logged", thing=Spiteful(), error=SpitefulError(), circle=circle, keys={1: 2, None: 3})

    [line] = lines(out)
    assert "Spiteful" in line["thing"]
    assert "SpitefulError" in line["error"]


def test_a_broken_stream_fails_no_poll():
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    configure("info", "json", Full(), lambda: NOON)

    structlog.get_logger().info("poll.done")
    structlog.reset_defaults()


def test_values_tracebacks_and_lines_are_cut(out):
    log = structlog.get_logger()

    log.info("body.seen", body="x" * 1_000_000)
    log.info("many.seen", many=list(range(1_000)), wide={str(n): n for n in range(1_000)})
    log.info("rows.seen", **{f"row{n}": "y" * VALUE_MAX for n in range(40)})
    try:
        raise ValueError("start" + "z" * 100_000 + "the end")
    except ValueError:
        log.exception("bug.seen")

    body, many, rows, bug = lines(out)
    assert len(body["body"]) < VALUE_MAX + 10
    assert many["many"][-1] == "… 950 more"
    assert many["wide"]["…"] == "950 more"
    assert (rows["event"], rows["cut"] > LINE_MAX) == ("rows.seen", True)
    assert len(bug["exception"]) <= TRACEBACK_MAX + 10
    assert bug["exception"].endswith("the end")
    assert all(len(line) <= LINE_MAX for line in out.getvalue().splitlines())


def test_a_traceback_names_no_local_variable(out):
    hidden = "l0cal-value"
    try:
        raise ValueError("told " + hidden[:2])
    except ValueError:
        structlog.get_logger().exception("bug.seen")

    [line] = lines(out)
    assert line["exception"].endswith("ValueError: told l0")
    assert 'l0cal-value"' not in line["exception"].replace('hidden = "l0cal-value"', "")


def test_a_person_at_a_terminal_reads_text():
    class Terminal(io.BytesIO):
        def isatty(self):
            return True

    terminal = Terminal()
    configure("info", "auto", terminal, lambda: NOON)

    structlog.get_logger().info("account.failing", account="hot-usdt")
    structlog.reset_defaults()

    shown = terminal.getvalue().decode()
    assert "account.failing" in shown
    assert "hot-usdt" in shown
    assert "\x1b[" in shown


def test_what_is_no_terminal_gets_json(out):
    configure("info", "auto", out, lambda: NOON)

    structlog.get_logger().info("account.failing")

    assert lines(out)[0]["event"] == "account.failing"


def test_a_providers_words_cannot_forge_a_console_line_or_steer_the_terminal(out):
    configure("info", "console", out, lambda: NOON)

    forged = "\x1b[2Jbad\r\n2026 [info] all.fine\x9b31m"
    structlog.get_logger().warning(f"account.failing {forged}", why=forged)

    shown = out.getvalue().decode()
    assert shown.count("\n") == 1
    assert not any(ord(character) < 32 for character in shown.replace("\n", ""))
    assert "\x9b" not in shown


def test_libraries_log_through_the_same_door_from_warning_on(out):
    register("l1brary-s3cret")

    logging.getLogger("aiohttp.client").warning("refused %s", "l1brary-s3cret")
    chatty = logging.getLogger("test.chatty")
    chatty.setLevel(logging.DEBUG)
    chatty.info("chatter")
    logging.getLogger("redis").error("bad %d format", "not a number")

    first, second = lines(out)
    assert first["event"] == "library.logged"
    assert (first["library"], first["level"]) == ("aiohttp.client", "warning")
    assert first["message"] == f"refused {MASK}"
    assert second["message"] == "bad %d format"


async def test_a_task_that_dies_unseen_is_logged_without_its_secret(out):
    register("t4sk-s3cret")

    async def die():
        raise ValueError("t4sk-s3cret")

    task = asyncio.create_task(die())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task

    [line] = lines(out)
    assert (line["library"], line["level"]) == ("asyncio", "error")
    assert line["message"].startswith("Task exception was never retrieved")
    assert "t4sk-s3cret" not in out.getvalue().decode()


def test_the_last_words_of_the_process_are_clean(out, monkeypatch):
    for hook in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, hook, getattr(sys, hook))
    monkeypatch.setattr(logs.threading, "excepthook", logs.threading.excepthook)
    register("l4st-w0rds")
    catch_uncaught()

    try:
        raise ValueError("l4st-w0rds")
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)

    [line] = lines(out)
    assert (line["event"], line["level"]) == ("process.crashed", "error")
    assert line["exception"].endswith(f"ValueError: {MASK}")


def spellings():
    basic = base64.b64encode(f"user:{CANARY}".encode()).decode()
    basic2 = base64.b64encode(f"us:{CANARY}:more".encode()).decode()
    return {
        "plain": CANARY,
        "percent-encoded": quote(CANARY, safe=""),
        "percent-encoded, lower case": quote(CANARY, safe="")
        .replace("%2F", "%2f")
        .replace("%3D", "%3d")
        .replace("%2B", "%2b"),
        "path-encoded": quote(CANARY),
        "form-encoded": quote_plus(CANARY),
        "base64": base64.b64encode(CANARY.encode()).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(CANARY.encode()).decode(),
        "Basic credentials": basic,
        "Basic credentials, other alignment": basic2,
        "hex": CANARY.encode().hex(),
        "inside JSON text": json.dumps({"key": CANARY}),
    }


@pytest.mark.parametrize("where", ["event", "value", "key", "list", "mapping", "bytes", "exception", "cause", "repr"])
@pytest.mark.parametrize("spelling", spellings())
def test_a_secret_is_hidden_wherever_and_however_it_is_written(out, where, spelling):
    written = spellings()[spelling]
    register(CANARY)

    say(where, written)

    shown = out.getvalue().decode()
    assert MASK in shown
    for form in ("c4nary", "s3cret", written[2:-4], json.dumps(written)[3:-5]):
        assert form not in shown


def say(where, text):
    log = structlog.get_logger()
    match where:
        case "event":
            log.info(text)
        case "value":
            log.info("a.b", why=f"around {text} it")
        case "key":
            log.info("a.b", rows={text: 1})
        case "list":
            log.info("a.b", rows=[[{"deep": (text,)}]])
        case "mapping":
            log.info("a.b", headers={"X-Key": text})
        case "bytes":
            log.info("a.b", body=text.encode())
        case "exception":
            try:
                raise ValueError(text)
            except ValueError:
                log.exception("a.b")
        case "cause":
            try:
                try:
                    raise KeyError(text)
                except KeyError as error:
                    raise ValueError("outer") from error
            except ValueError:
                log.exception("a.b")
        case "repr":
            log.info("a.b", thing=type("Thing", (), {"__repr__": lambda _: f"<{text}>"})())


def test_a_webhook_url_is_a_secret_as_a_whole_and_in_parts(out):
    register("https://hooks.chat.example/services/T0AAAAAAA/B0BBBBBBB/cccccccccccccccccccc?x=dddddddddddddd")
    log = structlog.get_logger()

    log.info("a.b", whole="POST https://hooks.chat.example/services/T0AAAAAAA/B0BBBBBBB/cccccccccccccccccccc?x=d")
    log.info("a.b", path="Cannot POST /services/T0AAAAAAA/B0BBBBBBB/cccccccccccccccccccc")
    log.info("a.b", part="token cccccccccccccccccccc is revoked, dddddddddddddd too")
    log.info("a.b", host="cannot connect to hooks.chat.example:443")

    shown = out.getvalue().decode()
    assert "cccc" not in shown
    assert "dddd" not in shown
    assert "cannot connect to hooks.chat.example:443" in shown


def test_a_webhook_path_of_short_pieces_is_hidden_without_its_host(out):
    register("https://hooks.chat.example/in/ab12/cd34/ef56")

    structlog.get_logger().info("a.b", why="Cannot POST /in/ab12/cd34/ef56")

    assert lines(out)[0]["why"] == f"Cannot POST {MASK}"


def test_a_password_in_any_url_is_hidden_without_being_registered(out):
    log = structlog.get_logger()

    log.info("store.connecting", url="rediss://user:p4ss@db.example:6379/0 and redis://:0ther@x")
    log.info("page.seen", url="https://a.example/path?mail=me@b.example")

    first, second = lines(out)
    assert first["url"] == f"rediss://{MASK}@db.example:6379/0 and redis://{MASK}@x"
    assert second["url"] == "https://a.example/path?mail=me@b.example"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef123456",
        "{'Authorization': 'Bearer abcdef123456'}",
        'authorization="Basic abcdef123456"',
        "sent bearer abcdef123456",
    ],
)
def test_credentials_in_headers_are_hidden_without_being_registered(out, text):
    structlog.get_logger().info("request.failed", why=text)

    assert "abcdef123456" not in out.getvalue().decode()


def test_fields_named_like_secrets_are_never_shown(out):
    structlog.get_logger().info("login.tried", password="x1", headers={"Cookie": "y1"}, token=123)

    [line] = lines(out)
    assert (line["password"], line["headers"], line["token"]) == (MASK, {"Cookie": MASK}, 123)


def test_a_number_that_is_a_secret_is_hidden_too(out):
    register("8675309123")

    structlog.get_logger().info("pin.seen", pin=8675309123, other=8675309124)

    [line] = lines(out)
    assert (line["pin"], line["other"]) == (MASK, 8675309124)


def test_a_cut_leaves_no_half_of_a_secret(out):
    register("s3cret-at-the-cut")

    structlog.get_logger().info("body.seen", body="x" * (VALUE_MAX - 8) + "s3cret-at-the-cut")

    assert "s3cret" not in out.getvalue().decode()


class Settings(BaseModel):
    name: str
    api_key: Secret
    url: Secret


def test_settings_that_hold_secrets_show_none_however_they_are_printed(out):
    settings = Settings(name="ops", api_key="c4nary-in-settings", url="https://c4nary.example/c4nary-path")
    error = ValueError(settings)

    structlog.get_logger().info("settings.read", settings=settings, shown=str(settings), error=error)

    for shown in (repr(settings), str(settings), str(error), repr(error), out.getvalue().decode()):
        assert "ops" in shown
        assert "c4nary" not in shown


def test_short_secrets_are_hidden_where_they_stand_alone():
    redactor = Redactor()
    redactor.secret("pin7")
    redactor.secret("ab")

    assert redactor.clean("pin7, spin7, pin77, x=pin7&y") == f"{MASK}, spin7, pin77, x={MASK}&y"
    assert redactor.clean("ab") == "ab"


def test_a_secret_inside_a_longer_one_leaves_nothing_of_it():
    redactor = Redactor()
    redactor.secret("hunter22")
    redactor.secret("hunter22-and-more")

    assert redactor.clean("it is hunter22-and-more") == f"it is {MASK}"


@given(secret=st.text(min_size=6, max_size=40), before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_text_around_it_saves_a_secret(secret, before, after):
    redactor = Redactor()
    redactor.secret(secret)

    assert all(secret not in piece for piece in redactor.clean(before + secret + after).split(MASK))


@given(secret=st.binary(min_size=6, max_size=40), before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_base64_of_anything_around_it_hides_it_too(secret, before, after):
    redactor = Redactor()
    text = secret.hex()
    redactor.secret(text)

    coded = base64.b64encode(before + text.encode() + after).decode()

    assert MASK in redactor.clean(coded)


def test_cleaning_costs_the_same_for_one_secret_and_for_thousands():
    redactor = Redactor()
    for number in range(300):
        redactor.secret(f"{number:04}-secret-of-some-length")

    assert len(redactor._grams) > 1_000
    assert redactor.clean("an ordinary line about hot-usdt") == "an ordinary line about hot-usdt"


def test_no_text_makes_cleaning_slow():
    redactor = Redactor()

    for text in ("a" * 200_000, "://" * 60_000, "authorization" * 20_000, "bearer " * 30_000):
        redactor.clean(text)


def test_utc_is_what_the_clock_says(out):
    configure("info", "json", out, lambda: datetime(2026, 1, 1, tzinfo=UTC))

    structlog.get_logger().info("a.b")

    assert lines(out)[0]["timestamp"] == "2026-01-01T00:00:00.000Z"
