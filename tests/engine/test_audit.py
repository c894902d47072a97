import pytest
from structlog.testing import capture_logs

from monitor.engine import audit
from monitor.engine.audit import Audit, Decision, digest
from tests.builders import seconds
from tests.guard.bets import Heard


def decision(reason="OK", **changes):
    return Decision("dec_1", reason, "casino", "bet-1", "player-7", "USDT", seconds(1.5), False)._replace(**changes)


def written(log):
    with capture_logs() as lines:
        log.drain()
    return lines


def test_a_line_says_what_was_decided_and_names_no_player():
    log = Audit(Heard())
    log.note(decision("INSUFFICIENT_FUNDS"))

    assert written(log) == [
        {
            "event": "guard.decided", "log_level": "info", "id": "dec_1", "decision": "deny",
            "reason": "INSUFFICIENT_FUNDS", "caller": "casino", "hold": "bet-1",
            "wallet": digest("player-7", "USDT"), "age_ms": 1500, "replayed": False,
        }
    ]  # fmt: skip


def test_a_digest_tells_wallets_apart():
    assert digest("a", "b") == digest("a", "b")
    assert len({digest("a", "b"), digest("a", "c"), digest("b", "b"), digest("a\nb", "")}) == 4


@pytest.mark.parametrize(("mode", "allowed", "denied"), [("off", 0, 0), ("sampled", 2, 200), ("all", 200, 200)])
def test_the_settings_say_how_much_is_logged(mode, allowed, denied):
    log = Audit(Heard())
    for _ in range(200):
        for told in (decision(), decision("ACCOUNT_LOCKED")):
            if log.wants(mode, told.reason):
                log.note(told)

    lines = written(log)

    assert [sum(line["decision"] == word for line in lines) for word in ("allow", "deny")] == [allowed, denied]


def test_more_than_there_is_room_for_is_counted_and_not_kept(monkeypatch):
    monkeypatch.setattr(audit, "WAITING_MAX", 3)
    heard = Heard()
    log = Audit(heard)
    for _ in range(5):
        log.note(decision())

    assert len(written(log)) == 3
    assert heard.said == [("unaudited", 1)] * 2


async def test_a_long_queue_is_written_in_slices(monkeypatch):
    monkeypatch.setattr(audit, "SLICE", 2)
    log = Audit(Heard())
    for _ in range(3):
        log.note(decision())

    with capture_logs() as lines:
        await log.write()
    assert (len(lines), len(written(log))) == (2, 1)
