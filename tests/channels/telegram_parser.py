"""Whether Telegram would take a message, and what it would make of it: by its own parser and its documentation."""

import json

import tdjson

from monitor.channels.text import utf16
from tests.channels.verifiers import SCHEMAS, assert_encodable

_TELEGRAM = json.loads((SCHEMAS / "telegram.json").read_text("utf-8"))
_PLAIN = {"String": str, "Boolean": bool, "Integer": int}
_PARSED = {"textEntityTypeBold", "textEntityTypeCode", "textEntityTypePre", "textEntityTypeTextUrl"}
#: What Telegram makes of digits: a number to copy, if they happen to have a card's checksum.
_HARMLESS = {"textEntityTypeBankCardNumber"}


def assert_telegram_takes(payload):
    """The parameters as documented, and the text as Telegram's own parser understands it: its length, which it does not
    check, and that nothing in it is a link or a command but what we made one. Returns that text."""
    _assert_typed(payload, _TELEGRAM["methods"]["sendMessage"])
    assert_encodable(payload)
    assert len(payload["text"].encode()) <= 1 << 15
    parsed = _td("parseTextEntities", text=payload["text"], parse_mode={"@type": "textParseModeHTML"})
    assert parsed["@type"] == "formattedText", parsed
    assert 0 < utf16(parsed["text"]) <= 4000
    assert parsed["text"].strip() == parsed["text"], "what is at the ends is cut off"
    assert {entity["type"]["@type"] for entity in parsed["entities"]} <= _PARSED
    assert len(parsed["entities"]) <= 100
    found = _td("getTextEntities", text=parsed["text"])["entities"]
    alien = [entity for entity in found if entity["type"]["@type"] not in _HARMLESS]
    assert [one for one in alien if not any(_overlap(one, ours) for ours in _in_code(parsed))] == []
    return parsed["text"]


def telegram_links(payload):
    """Where a tap leads."""
    parsed = _td("parseTextEntities", text=payload["text"], parse_mode={"@type": "textParseModeHTML"})
    return [one["type"]["url"] for one in parsed["entities"] if one["type"]["@type"] == "textEntityTypeTextUrl"]


def _td(method, **arguments):
    return json.loads(tdjson.td_execute(json.dumps({"@type": method, **arguments}).encode()))


_td("setLogVerbosityLevel", new_verbosity_level=0)


def _in_code(parsed):
    return [one for one in parsed["entities"] if one["type"]["@type"] in ("textEntityTypeCode", "textEntityTypePre")]


def _overlap(one, other):
    return one["offset"] < other["offset"] + other["length"] and other["offset"] < one["offset"] + one["length"]


def _assert_typed(value, fields):
    """A mapping as their documentation tabulates it: no unknown name, none missing, every value of a listed type."""
    known = {each["name"]: each for each in fields}
    assert set(value) <= set(known)
    assert {name for name, each in known.items() if each["required"]} <= set(value)
    for name, part in value.items():
        types = known[name]["types"]
        nested = [_TELEGRAM["types"][kind] for kind in types if kind in _TELEGRAM["types"]]
        if isinstance(part, dict):
            assert len(nested) == 1, name
            _assert_typed(part, nested[0])
        else:
            assert type(part) in [_PLAIN[kind] for kind in types if kind in _PLAIN], name
