"""Messages full of what strangers write into labels, and messages at the limits: every chat must take them all."""

from hypothesis import strategies as st

from monitor.model.group import MESSAGE_MAX
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
#: Entries of which every text is a stranger's.
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
    *[HOSTILE] * 6,
    _AMOUNTS,
    st.sampled_from(["firing", "resolved"]),
)
KINDS = ("alert.firing", "alert.updated", "alert.reminder", "alert.resolved", "alert.event")
#: Messages of every kind, with one to seven such entries.
HOSTILE_MESSAGES = st.builds(
    lambda entries, kind: message(*entries, kind=kind),
    st.lists(ENTRIES, min_size=1, max_size=7),
    st.sampled_from(KINDS),
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

#: Every sample of `samples.py` and every large one.
ALL = {**MESSAGES, **LARGE}
