"""Messages full of what strangers write into labels, and messages at the limits: every chat must take them all."""

from dataclasses import replace

from hypothesis import strategies as st

from monitor.model.group import MESSAGE_MAX, Numbered
from tests.builders import entry, event_entry, message
from tests.samples import MESSAGES

#: A family: one character to people, 7 code points, 11 UTF-16 units, 25 bytes.
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
#: What has mentioned, linked, formatted or broken something in one chat or another.
ATTACKS = (
    "<!channel>", "<@U123>", "<!subteam^S1>", "<http://evil.example|Click>", "`", "``", "```", "*bold*", "&amp;",
    "@here", "@everyone", "<@&123>", "<@123>", "@all", "@channel", "<users/all>", "<https://evil.example|x>",
    "[x](http://evil.example)", "</b><script>", "<b>", "a < b", "1.5", "_x_", "~x~", "||x||", "> quote", "# title",
    "- item", "http://evil.example", "/start", "#tag", "$ETH", "me@evil.example", "<at>all</at>", "{{x}}", "\\",
    "\\[x\\](http://evil.example)", "a\r\nBcc: b@evil.example", "\u202egnp.exe", "\u200b", "\ud800", "\x00",
    FAMILY * 50, "\U0001f1e9\U0001f1ea" * 60, "e\u0301" * 200, "<t:0:R>",
)  # fmt: skip
HOSTILE = st.one_of(
    st.text(st.characters(codec=None, exclude_categories=()), max_size=300),
    st.sampled_from(ATTACKS),
)
_AMOUNTS = st.one_of(
    st.none(), st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40)
)
_NOBODY = st.just("") | HOSTILE
_NOTHING = st.none() | HOSTILE
#: Entries of which every text is a stranger's, or is not there.
ENTRIES = st.builds(
    lambda account, provider, rule, unit, label, summary, value, status: entry(
        account=account,
        provider=provider,
        rule=rule,
        unit=unit,
        asset=unit,
        value=value,
        status=status,
        labels={"x": label},
        annotations={"summary": summary, "runbook_url": f"https://wiki.example/{label}"},
    ),
    _NOBODY,
    _NOBODY,
    HOSTILE,
    _NOTHING,
    HOSTILE,
    HOSTILE,
    _AMOUNTS,
    st.sampled_from(["firing", "resolved"]),
)


def _moved(kind: str, reference: str | None, asset: str, account: str, *, late: bool) -> object:
    told = event_entry(account=account, asset=asset, unit=asset)
    return replace(told, event=replace(told.event, kind=kind, reference=reference, asset=asset, late=late))


#: Movements that a stranger named.
MOVEMENTS = st.builds(_moved, HOSTILE, _NOTHING, HOSTILE, HOSTILE, late=st.booleans())
KINDS = ("alert.firing", "alert.updated", "alert.reminder", "alert.resolved", "alert.event")
#: Messages of every kind, with one to seven such entries, of a group with such labels.
HOSTILE_MESSAGES = st.builds(
    lambda entries, kind, labels, truncated: message(*entries, kind=kind, labels=labels, truncated=truncated),
    st.lists(ENTRIES | MOVEMENTS, min_size=1, max_size=7),
    st.sampled_from(KINDS),
    st.dictionaries(HOSTILE, HOSTILE, max_size=3),
    st.integers(0, 9),
)


def _long(number: int) -> str:
    return f"{number:03d}-{'x' * 100}"


def _everything(text: str) -> dict[str, object]:
    summary = {"summary": text * 40, "caveat": text * 40, "runbook_url": "https://wiki.example/" + "x" * 900}
    return {"account": text, "provider": text, "rule": text, "unit": text, "asset": text, "annotations": summary}


#: Messages as large as they get, by name: many alerts, and few with long texts in every unit of length.
LARGE = {
    "a hundred alerts": message(*(entry(_long(number)) for number in range(MESSAGE_MAX)), truncated=5),
    "a hundred events": message(*(event_entry(_long(number)) for number in range(MESSAGE_MAX)), kind="alert.event"),
    "five with long ascii": message(*(entry(f"{place}", **_everything("x" * 128)) for place in "abcde")),
    "five with long emoji": message(*(entry(f"{place}", **_everything(FAMILY * 30)) for place in "abcde")),
    "a hundred with quotes": message(*(entry(f"{number}", **_everything('"' * 128)) for number in range(MESSAGE_MAX))),
    "one with a link that is escaped": message(
        entry(annotations={"summary": "low", "runbook_url": "https://wiki.example/?" + "&" * 900})
    ),
    "five full of what is escaped": message(*(entry(f"{place}", **_everything("<&>_*[`\\" * 16)) for place in "abcde")),
}

_OWN = {"rule": "SelfOffline", "rule_type": "self", "provider": "", "account": "", "asset": None, "measure": None}
_BARE = {"value": None, "previous": None, "threshold": None, "unit": None, "labels": {}, "annotations": {}}
_TAKEN_BACK = replace(event_entry(), reason="event_reverted")
#: Messages that lack what others have, or have what others lack.
ODD = {
    "the monitor's own": message(entry(**_OWN, **_BARE, started_at=None)),
    "a provider as a whole": message(entry(rule_type="provider_down", account="", asset=None, **_BARE)),
    "a drill": message(entry(labels={"drill": "true"}, annotations={"summary": "DRILL: low"})),
    "told late": message(entry(annotations={"caveat": "silenced since 2026-11-20T12:00:00Z by maria"})),
    "a movement that is taken back": message(Numbered(_TAKEN_BACK, 2), kind="alert.updated"),
    "a movement of which little is known": message(
        replace(
            _TAKEN_BACK, event=replace(_TAKEN_BACK.event, direction=None, balance_after=None, reference=None), more=7
        ),
        kind="alert.event",
    ),
    "a digest of groups that share nothing": message(
        *(entry(f"{number}", rule=f"Rule{number}", provider=f"p{number}") for number in range(30)), labels={}
    ),
    "every attack at once": message(
        *(
            entry(
                f"{number}",
                rule=attack,
                account=attack,
                provider=attack,
                unit=attack,
                labels={attack: attack},
                annotations={"summary": attack, "runbook_url": f"https://wiki.example/{attack}", attack: attack},
            )
            for number, attack in enumerate(ATTACKS)
        ),
        labels=dict(zip(ATTACKS, ATTACKS, strict=True)),
    ),
    "of what was taken care of, and closed for a reason": message(
        *(
            Numbered(entry(why, "resolved", reason=why), 2)
            for why in ("rule_removed", "account_removed", "watch_expired", "superseded", "no_data")
        ),
        kind="alert.resolved",
    ),
}

#: Every sample of `samples.py`, every odd and every large one.
ALL = {**MESSAGES, **ODD, **LARGE}
