"""Writes the README's reference from the models themselves: `python tests/reference.py`.

A test fails when README.md does not hold what this would write.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from monitor.api.problems import PROBLEMS  # noqa: E402 - the path comes first
from monitor.commands.checks import schema  # noqa: E402
from monitor.metrics import Metrics  # noqa: E402

README = ROOT / "README.md"
#: In the order a reader meets them; what several share is said once, under the name of their family.
ORDER = (
    ("", ("Store", "Log", "Egress", "HttpApi", "ApiToken", "Defaults")),
    ("", ("ProviderPrices", "StaticPrices", "HttpJsonPrices")),
    ("every provider", ("Cryptofuse", "Kuna", "Kaiko", "Pacifica")),
    ("every account", ("CryptofuseAccount", "KunaAccount", "KaikoAccount", "PacificaAccount")),
    ("", ("ApiKey", "OAuth", "Login", "RateLimit", "Events")),
    ("every channel", (
        "Webhook", "Slack", "Discord", "Telegram", "Ntfy", "Teams", "GoogleChat", "Mattermost", "PagerDuty",
        "Email",
        "Alertmanager",
    )),
    ("", ("Route", "Inhibit", "Step", "TimeInterval", "FiledSilence", "SilenceUnless", "ExpectedTransfer")),
    ("", ("GuardSettings", "HoldTtl", "Stakes", "Bankroll", "Signing", "SigningKey")),
    ("", ("Heartbeat", "Connectivity", "History")),
)  # fmt: skip


def sections() -> dict[str, str]:
    return {
        "configuration": tables(schema("config")),
        "rules": rule_tables(),
        "problems": problems(),
        "metrics": metrics(),
    }


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: written by tests/reference.py -->", f"<!-- /{name} -->"


def rewritten(text: str) -> str:
    """The README with every generated section as the code has it now."""
    for name, written in sections().items():
        begin, end = marks(name)
        head, _, rest = text.partition(begin)
        _, found, tail = rest.partition(end)
        assert found, f"README.md has no section between {begin} and {end}"
        text = f"{head}{begin}\n\n{written}\n{end}{tail}"
    return text


def tables(document: dict) -> str:
    known = document["$defs"]
    missing = set(known) ^ {name for _, names in ORDER for name in names}
    assert not missing, f"not in ORDER, or not in the schema: {missing}"
    parts = [{**document, "title": "top level", "description": ""}]
    for title, names in ORDER:
        members = [known[name] for name in names]
        parts += family(title, members) if title else members
    return "\n".join(table(part, known) for part in parts)


def rule_tables() -> str:
    document = schema("rules")
    known = document["$defs"]
    kinds = sorted((part for part in known.values() if "alert" in part.get("properties", {})), key=_kind)
    others = [part for part in known.values() if part not in kinds and part.get("properties")]
    parts = family("every rule", [{**part, "title": _kind(part)} for part in kinds]) + others
    return "\n".join(table(part, known) for part in parts)


def family(title: str, members: list[dict]) -> list[dict]:
    """What all members share as a part of its own, then each member with the rest."""
    first = members[0]["properties"]
    shared = {n: f for n, f in first.items() if all(m["properties"].get(n) == f for m in members)}
    required = [name for name in members[0].get("required", ()) if name in shared]
    rest = [{**m, "properties": {n: f for n, f in m["properties"].items() if n not in shared}} for m in members]
    return [{"title": title, "properties": shared, "required": required}, *rest]


def _kind(part: dict) -> str:
    return part["properties"]["type"]["const"]


def table(part: dict, known: dict) -> str:
    about = " ".join(part.get("description", "").split())
    rows = [row(name, field, name in part.get("required", ()), known) for name, field in part["properties"].items()]
    head = ["| key | takes | default | |", "|---|---|---|---|"] if rows else []
    lines = [f"**{part['title']}**" + (f": {about}" if about else ""), "", *head, *rows, ""]
    return "\n".join(lines)


def row(name: str, field: dict, required: bool, known: dict) -> str:
    default = "required" if required else shown(field.get("default"))
    about = " ".join(field.get("description", "").split()).replace("|", "\\|")
    about = "" if about.startswith("a duration") else about
    return f"| `{name}` | {takes(field, known)} | {default} | {about} |"


def shown(value: object) -> str:
    return "" if value in (None, [], {}, ()) else f"`{json.dumps(value, ensure_ascii=False)}`"


def takes(field: dict, known: dict) -> str:
    """A type in a few words."""
    if "$ref" in field:
        return known[field["$ref"].rpartition("/")[2]]["title"]
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " ".join(f"`{value}`" for value in field["enum"])
    for key in ("anyOf", "oneOf"):
        if key in field:
            parts = [takes(part, known) for part in field[key] if part.get("type") != "null"]
            return "secret" if _is_secret(field[key]) else " or ".join(dict.fromkeys(parts))
    if field.get("description", "").startswith("a duration") or "ms|s|m|h|d|w" in field.get("pattern", ""):
        return "duration" + bounds(field)
    if field.get("type") == "array":
        return f"list of {takes(field.get('items', {}), known)}"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"mapping to {takes(values, known)}" if isinstance(values, dict) else "mapping"
    return field.get("type", "any") + bounds(field)


def bounds(field: dict) -> str:
    names = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    said = [f"{sign} {field[name]}" for name, sign in names.items() if name in field]
    return f" {', '.join(said)}" if said else ""


def _is_secret(parts: list) -> bool:
    return any("env" in part.get("properties", {}) for part in parts)


def metrics() -> str:
    rows = [f"| `{name}` | {kind} | {about} |" for name, kind, about in Metrics("0").describe()]
    return "\n".join(["| metric | type | meaning |", "|---|---|---|", *rows, ""])


def problems() -> str:
    rows = [f"| {kind.status} | `{name}` | {kind.meaning} |" for name, kind in PROBLEMS.items()]
    return "\n".join(["| status | type | meaning |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text("utf-8")), "utf-8")
