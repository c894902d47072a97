import asyncio
import html
import re
from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import aiosmtplib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter, ValidationError

from monitor.channels import AnyChannel
from monitor.channels.email import Email, mailbox
from monitor.channels.email_smtp import _context, classify, failure, smarthost
from monitor.channels.email_text import Party, compose
from monitor.channels.http import Http, new_session
from monitor.channels.text import clean, cut
from monitor.clock import wall_clock
from monitor.egress import Egress
from monitor.engine.flush import after_settle, flush
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.model.group import MESSAGE_MAX, Numbered, Receipt
from tests.builders import NOON, entry, group, item, message, minutes, seconds
from tests.channels.faults import outcome_of, shown
from tests.channels.mailserver import PEM, broken_server, mail_server
from tests.hostile import ALL, ATTACKS, HOSTILE_MESSAGES
from tests.samples import MESSAGES

PARTY = Party(mailbox("Wächter <monitor@example.com>"), (mailbox("ops@example.com"), mailbox("b@example.com")))
CANARY = "CANARY-pass/word"
#: The loopback, written so that it is taken for another machine.
ELSEWHERE = "0x7f.1"
HEADERS = ["From", "To", "Subject", "Date", "Message-ID"]
EXTRA = ["Auto-Submitted", "MIME-Version", "Content-Type"]


def settings(port, *, user="", scheme="smtp", host="127.0.0.1", **others):
    login = f"{user}:CANARY-pass%2Fword@" if user else ""
    plain = {
        "type": "email",
        "from": "monitor@example.com",
        "to": ["ops@example.com", "b@example.com"],
        "timeout": "2s",
    }
    url = f"{scheme}://{login}{host}:{port}"
    return TypeAdapter(AnyChannel).validate_python({**plain, "smtp_url": url, **others})


def parsed(one, **options):
    return message_from_bytes(compose(one, PARTY, **options), policy=default)


def bodies(mail):
    return [mail.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("plain", "html")]


def assert_a_mail_server_takes(content):
    """The standard library's parser; and what it overlooks: octets, ends of lines, headers of nobody's making."""
    mail = message_from_bytes(content, policy=default)
    assert mail.defects == []
    assert all(part.defects == [] for part in mail.walk())
    threaded = ["In-Reply-To", "References"] if "References" in mail else []
    assert list(mail.keys()) == [*HEADERS, *threaded, *EXTRA]
    assert all(value.defects == () for value in mail.values() if hasattr(value, "defects"))
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    lines = content.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert max(map(len, lines)) <= 998
    content.decode("ascii")
    return mail


def assert_html_is_only_ours(mail):
    said = bodies(mail)[1]
    tags = set(re.findall(r"<(/?[a-z!][a-z0-9]*)", said, re.IGNORECASE))
    ours = {"!DOCTYPE", "html", "head", "meta", "body", "h3", "p", "table", "tr", "th", "td", "a"}
    assert tags <= ours | {f"/{tag}" for tag in ours}
    assert all(link.startswith("https://wiki.example/") for link in re.findall('href="([^"]*)"', said))
    assert not re.search("&(?!amp;|lt;|gt;|quot;|#x27;)", said)


@pytest.mark.parametrize("name", ALL)
def test_every_message_and_the_largest_are_mails(name):
    mail = assert_a_mail_server_takes(compose(ALL[name], PARTY))

    assert_html_is_only_ours(mail)
    assert mail["To"].addresses == PARTY.recipients
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == NOON


@given(HOSTILE_MESSAGES)
def test_no_label_adds_a_header_a_tag_or_a_long_line(one):
    assert_html_is_only_ours(assert_a_mail_server_takes(compose(one, PARTY)))


@pytest.mark.parametrize("attack", [*ATTACKS, "a\r\nBcc: b@evil.example", "=?utf-8?q?a=0D=0ABcc:_x@evil.example?="])
def test_an_attack_is_read_as_it_is_in_the_subject_and_in_both_bodies(attack):
    mail = assert_a_mail_server_takes(compose(message(entry(account=attack)), PARTY))

    seen = clean(attack)
    assert cut(seen, 60) in mail["Subject"].replace("\u200b", "")
    plain, marked = bodies(mail)
    assert not seen or f"Account: {cut(seen, 200)}\n" in plain
    assert cut(seen, 200) in html.unescape(marked)


@given(st.text(min_size=1, max_size=60))
def test_a_label_is_seen_as_it_is(name):
    seen = clean(name)

    plain, marked = bodies(parsed(message(entry(account=name))))
    assert not seen or f"Account: {seen}\n" in plain
    assert not seen or f"<td>{html.escape(seen)}</td>" in marked


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("firing", "[FIRING critical] HotWalletLow: 3 alerts, the first hot-a"),
        ("updated", "[UPDATED warning] HotWalletLow hot-a: 412.50 USDT, below 80000"),
        ("resolved", "[RESOLVED] HotWalletLow hot-a: 90210.00 USDT"),
        ("combined", "[RESOLVED] HotWalletLow: fired and resolved hot-a: 90210.00 USDT"),
        ("event", "[EVENT] LargeOutflow hot-out: 250000 USDT, above 80000"),
        ("test", "[TEST] balance-monitor can reach the channel ops"),
    ],
)
def test_the_subject_says_what_happened(name, subject):
    assert parsed(MESSAGES[name])["Subject"] == subject


def test_the_plain_text_says_all_that_is_known():
    assert bodies(parsed(MESSAGES["resolved"]))[0] == (
        "[RESOLVED] HotWalletLow hot-a: 90210.00 USDT\n\nhot-a USDT is back\n\n"
        "Status: resolved, recovered\nSeverity: critical\nAccount: hot-a\nProvider: casino\nValue: 90210.00 USDT\n"
        "Threshold: 80000 USDT\nMeasure: available USDT\nRule: HotWalletLow\nRunbook: https://wiki.example/float\n"
        "\n-- \nntf_01 alr_a1\n"
    )


def test_all_of_a_hundred_alerts_are_told():
    alerts = [entry(f"{number:03d}-{'ё' * 100}") for number in range(MESSAGE_MAX)]

    plain, marked = bodies(parsed(message(*alerts, truncated=5)))

    assert plain.count("firing critical · ") == marked.count("<td>firing critical</td>") == MESSAGE_MAX
    assert "… and 5 more" in plain
    assert "… and 5 more" in marked


def test_every_attempt_is_the_same_byte_for_byte():
    assert compose(message(), PARTY) == compose(message(), PARTY)
    assert parsed(message())["Message-ID"] == "<ntf_01@example.com>"


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        mail = parsed(one, redact=True)
        told = mail["Subject"] + "".join(bodies(mail))
        assert not any(amount in told for amount in ("412.50", "90210", "80000", "250000")), name


async def test_a_resolve_stands_in_the_thread_of_its_firing(http):
    fired = flush(group(item("firing", entry())), NOON)
    async with mail_server() as office:
        channel = settings(office.port).connect(http)
        receipt = await channel.send(fired, NOON)
        told, _ = after_settle(group(), fired, NOON, receipt.ref)
        reminder = replace(message(Numbered(entry(), 2, told["fp-a"].ref), kind="alert.reminder"), id="ntf_02")
        again = await channel.send(reminder, NOON)
        over = flush(group(item("resolved", entry(status="resolved")), open=told, version=8), NOON + minutes(5))
        await channel.send(over, NOON)

    first, second, last = office.parsed
    assert receipt == Receipt("250 OK queued as 7", first["Message-ID"])
    assert again.ref == receipt.ref
    assert "References" not in first
    for later in (second, last):
        assert later["In-Reply-To"] == later["References"] == first["Message-ID"]
        assert later["Message-ID"] != first["Message-ID"]


def test_what_another_kind_of_channel_called_its_message_is_no_mail():
    assert "References" not in parsed(message(Numbered(entry(), 2, '["C0123","1503435956.000247",1]')))


def test_alerts_of_several_threads_begin_a_new_one():
    both = message(Numbered(entry("a"), 2, "<ntf_1@example.com>"), Numbered(entry("b"), 2, "<ntf_2@example.com>"))

    assert "References" not in parsed(both)


async def test_a_mail_arrives_at_a_real_server(http):
    async with mail_server() as office:
        await settings(office.port).connect(http).send(message(), NOON)

    assert office.envelopes == [("monitor@example.com", ["ops@example.com", "b@example.com"])]
    assert_a_mail_server_takes(office.mails[0])


async def test_every_message_and_the_largest_arrive_at_a_real_server_in_whole(http):
    async with mail_server() as office:
        for one in ALL.values():
            await settings(office.port).connect(http).send(one, NOON)

    assert len(office.mails) == len(ALL)
    for arrived, one in zip(office.mails, ALL.values(), strict=True):
        mail = assert_a_mail_server_takes(arrived)
        assert one.id in mail.get_body(("plain",)).get_content()


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("trusted", [True, False])
async def test_a_password_goes_only_to_a_server_whose_certificate_is_trusted(http, monkeypatch, scheme, trusted):
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    _context.cache_clear()
    async with mail_server(starttls=scheme == "smtp", tls=scheme == "smtps", auth=True) as office:
        spec = settings(office.port, user="me", scheme=scheme, host=ELSEWHERE)
        outcome = await outcome_of(spec.connect(http), message())
    _context.cache_clear()

    if trusted:
        assert isinstance(outcome, Receipt)
        assert (office.encrypted, office.logins) == ([True], [("PLAIN", b"me", CANARY.encode())])
    else:
        assert isinstance(outcome, DeliveryDeferred)
        assert str(outcome) == "TLS failed (SSLCertVerificationError)"
        assert office.logins == office.mails == []


async def test_starttls_is_used_where_it_is_offered(http):
    async with mail_server(starttls=True, auth=True) as office:
        await settings(office.port, user="me").connect(http).send(message(), NOON)

    assert office.encrypted == [True]
    assert office.logins == [("PLAIN", b"me", CANARY.encode())]


async def test_a_password_never_goes_in_the_clear_to_another_machine(http):
    async with mail_server(auth=True) as office:
        here = await outcome_of(settings(office.port, user="me").connect(http), message())
        there = await outcome_of(settings(office.port, user="me", host=ELSEWHERE).connect(http), message())

    assert isinstance(here, Receipt)
    assert isinstance(there, DeliveryRejected)
    assert (there.fault, len(office.logins)) == ("channel", 1)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_a_refused_login_is_tried_once(http, mechanism):
    other = {"PLAIN": "LOGIN", "LOGIN": "PLAIN"}[mechanism]
    async with mail_server(auth=True, auth_exclude_mechanism=[other]) as office:
        office.replies["AUTH"] = f"535 5.7.8 no, not {CANARY}"
        refused = await outcome_of(settings(office.port, user="me").connect(http), message())

    assert isinstance(refused, DeliveryRejected)
    assert refused.fault == "channel"
    assert str(refused).startswith("535 5.7.8 no, not")
    assert CANARY not in shown(refused)
    assert refused.__context__ is None, "which would quote the server"
    assert [one[0] for one in office.logins] == [mechanism]


async def test_a_server_without_logins_is_no_place_for_a_password(http):
    async with mail_server() as office:
        refused = await outcome_of(settings(office.port, user="me").connect(http), message())

    assert isinstance(refused, DeliveryRejected)
    assert refused.fault == "channel"


CHANNEL, MESSAGE, LATER = "channel", "message", "later"


def meaning(outcome):
    return LATER if isinstance(outcome, DeliveryDeferred) else outcome.fault


@pytest.mark.parametrize(
    ("stage", "reply", "expected"),
    [
        ("MAIL", "421 4.3.2 shutting down", LATER),
        ("MAIL", "451 4.3.0 try later", LATER),
        ("MAIL", "550 5.7.1 you may not send as that", CHANNEL),
        ("MAIL", "530 5.7.0 authentication required", CHANNEL),
        ("MAIL", "552 5.3.4 too large", MESSAGE),
        ("RCPT", "450 4.2.1 busy", LATER),
        ("RCPT", "550 5.1.1 no such user", CHANNEL),
        ("RCPT", "554 5.7.1 relay access denied", CHANNEL),
        ("RCPT", "530 5.7.0 authentication required", CHANNEL),
        ("DATA", "451 4.7.1 greylisted", LATER),
        ("DATA", "452 4.3.1 no space", LATER),
        ("DATA", "550 5.7.1 that is spam", MESSAGE),
        ("DATA", "554 5.6.0 malformed", MESSAGE),
        ("DATA", "552 5.3.4 too large", MESSAGE),
    ],
)
async def test_what_a_server_refuses_is_told_apart_by_where_and_by_code(http, stage, reply, expected):
    async with mail_server() as office:
        office.replies[stage] = reply
        outcome = await outcome_of(settings(office.port).connect(http), message())

    assert meaning(outcome) == expected
    assert str(outcome) == reply


@pytest.mark.parametrize("code", [-1, 100, 250, 354, 600])
def test_what_is_no_refusal_is_tried_again(code):
    assert isinstance(classify("data", code, "?"), DeliveryDeferred)


async def test_one_recipient_who_takes_it_is_enough(http):
    async with mail_server() as office:
        office.replies["RCPT b@example.com"] = "550 5.1.1 gone"
        receipt = await settings(office.port).connect(http).send(message(), NOON)

    assert office.envelopes == [("monitor@example.com", ["ops@example.com"])]
    assert receipt.answer == "250 OK queued as 7; not for b@example.com: 550 5.1.1 gone"


async def test_when_one_of_several_refusals_is_for_now_the_mail_is_tried_again(http):
    async with mail_server() as office:
        office.replies |= {"RCPT ops@example.com": "550 gone", "RCPT b@example.com": "450 busy"}
        outcome = await outcome_of(settings(office.port).connect(http), message())

    assert meaning(outcome) == LATER
    assert str(outcome) == "450 busy"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"554 no service here\r\n"], CHANNEL),
        ([b"421 too many connections\r\n"], LATER),
        ([b"HTTP/1.1 400 Bad Request\r\n"], LATER),
        ([b"220 hello\r\n", b"550 go away\r\n", b"550 go away\r\n"], CHANNEL),
        ([None], LATER),
        ([b"220 hello\r\n", None], LATER),
        ([b"220 hello\r\n", b"250 mail\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", None], LATER),
        ([], LATER),
        ([b"220 hello\r\n"], LATER),
        ([b"220 hello\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"220 go\r\n", b"no tls\r\n"], LATER),
        ([b"220 hello\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"454 not now\r\n"], LATER),
        ([b"220 " + b"x" * 100_000], LATER),
    ],
)
async def test_a_server_that_breaks_is_tried_again_in_time(http, lines, expected):
    async with broken_server(*lines) as port:
        spec = settings(port, timeout="300ms")
        async with asyncio.timeout(20):
            outcome = await outcome_of(spec.connect(http), message())

    assert meaning(outcome) == expected


async def test_a_goodbye_that_hangs_does_not_make_it_a_failure(http):
    said = [b"220 hello\r\n", *[b"250 ok\r\n"] * 4, b"354 go\r\n"]

    async def talk(reader, writer):
        for line in said:
            writer.write(line)
            await reader.readline()
        while await reader.readline() != b".\r\n":
            pass
        writer.write(b"250 taken\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(20):
        receipt = await settings(port).connect(http).send(message(), NOON)
    server.close()

    assert receipt.answer == "250 taken"


async def test_nobody_listening_is_told_without_the_url(http, unused_tcp_port):
    outcome = await outcome_of(settings(unused_tcp_port, user="me").connect(http), message())

    assert str(outcome) == "no connection (Connection refused)"
    assert isinstance(outcome, DeliveryDeferred)


async def test_the_egress_policy_is_obeyed():
    async with mail_server() as office, new_session(Egress(deny_private=True)) as session:
        outcome = await outcome_of(settings(office.port).connect(Http(session, wall_clock)), message())

    assert str(outcome) == "the egress policy forbids the address"
    assert office.mails == []


@pytest.mark.parametrize(
    "error",
    [
        aiosmtplib.SMTPConnectError("CANARY-pass/word"),
        aiosmtplib.SMTPServerDisconnected("CANARY-pass%2Fword"),
        aiosmtplib.SMTPResponseException(550, "no CANARY-pass/word"),
        aiosmtplib.SMTPException("smtp://me:CANARY-pass%2Fword@mail.example"),
        OSError("CANARY-pass/word"),
        ValueError("CANARY-pass/word"),
        UnicodeError("CANARY-pass/word"),
    ],
)
def test_no_failure_shows_the_password(error):
    assert "CANARY" not in shown(failure(error, smarthost(SecretStr("smtp://me:CANARY-pass%2Fword@mail.example:25"))))


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "user"),
    [
        ("smtp://mail.example", "mail.example", 587, False, ""),
        ("smtps://mail.example", "mail.example", 465, True, ""),
        ("smtp://me%40mail.example:p%3Aw@mail.example:25/", "mail.example", 25, False, "me@mail.example"),
        ("smtp://[::1]:2525", "::1", 2525, False, ""),
    ],
)
def test_what_a_url_means(url, host, port, tls, user):
    found = smarthost(SecretStr(url))

    assert (found.host, found.port, found.tls, found.user) == (host, port, tls, user)
    assert found.password == ("p:w" if user else "")


@pytest.mark.parametrize(
    "url",
    [
        "mail.example:587", "https://mail.example", "smtp://", "smtp://me@mail.example", "smtp://me:p/CANARY@mail.example",
        "smtp://me:CANARY@mail.example:port", "smtp://me:CANARY%0D%0A@mail.example", "smtp://me:CANARY@mail.example?tls",
    ],
)  # fmt: skip
def test_a_url_that_can_never_work_is_refused_without_being_quoted(url):
    with pytest.raises(ValidationError, match="smtp_url") as caught:
        settings(0, smtp_url=url)

    assert "CANARY" not in str(caught.value.errors(include_input=False, include_context=False))


@pytest.mark.parametrize("field", ["from", "to"])
@pytest.mark.parametrize(
    "address",
    [
        "", "ops", "ops@", "@example.com", "a b@example.com", "ops@example.com\r\nBcc: x@evil.example",
        "ops@exämple.com",
        "a@example.com, b@example.com", "<a@example.com>x", 'a"b@example.com', "x" * 250 + "@example.com",
        "Ops\r\nBcc: x <ops@example.com>",
    ],
)  # fmt: skip
def test_an_address_that_no_server_takes_is_refused(field, address):
    with pytest.raises(ValidationError, match="in plain ASCII"):
        settings(25, **{field: address})


def test_one_address_needs_no_list():
    assert settings(25, to="Ops Team <ops@example.com>").to == ("Ops Team <ops@example.com>",)


def test_settings_never_print_the_password(http):
    spec = settings(25, user="me")

    assert "CANARY" not in repr(spec)
    assert "CANARY" not in repr(spec.connect(http))
    assert spec.secrets() == (spec.smtp_url,)


def test_mail_goes_out_once_a_second():
    assert (Email.RATE.requests, Email.RATE.per) == (1, seconds(1))
