"""The shape of the code held as tables: layers, one clock reader, sizes, bulkheads."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "monitor"
MODULES = sorted(ROOT.rglob("*.py"))

#: What each part may import of the others, besides itself, `errors` and the bare package.
LAYERS = {
    "errors": [],
    "deadlines": ["clock"],
    "model": [],
    "fields": ["model"],
    "guard": ["model"],
    "rules": ["model", "fields"],
    "engine": ["model", "rules", "fields", "guard", "deadlines"],
    "egress": ["fields"],
    "redact": ["fields"],
    "providers": ["model", "fields", "engine.ports", "egress"],
    "channels": ["model", "fields", "engine.ports", "egress"],
    "store": [
        "model",
        "fields",
        "guard",
        "clock",
        "engine.ports",
        "engine.sums",
        "engine.guardports",
        "engine.laneports",
    ],
    "api": ["model", "fields", "guard", "engine", "deadlines"],
    "demo": ["model", "fields", "engine"],
    "metrics": ["model", "guard", "engine.guardports"],
    "config": [
        "model",
        "fields",
        "rules",
        "guard",
        "engine",
        "providers",
        "channels",
        "egress",
        "redact",
        "schedule",
        "store.url",
        "api.auth",
    ],
}
#: Joins the parts, and may import everything, as all that is in no folder.
WIRING = {"cli", "commands", "ruletest", "backtest", "explain"}
#: Imports that break the table, each with the reason why it may.
ALLOWED = {
    ("api", "redact"): "one place knows what a secret looks like",
    ("channels", "redact"): "one place knows what a secret looks like",
    ("store", "redact"): "one place knows what a secret looks like",
}
ADAPTERS = {"providers", "channels", "store", "api", "demo"}

#: Who reads a clock, and why nobody else must.
CLOCK_READERS = {
    "clock.py": "the process's time, which everything else is given",
    "deadlines.py": "when an event loop's own timers go off, nothing more",
    "store/session.py": "only how long ago the store said its time: it decides when to ask again, nothing more",
}
CLOCKS = {
    "time": {
        "time",
        "time_ns",
        "monotonic",
        "monotonic_ns",
        "perf_counter",
        "perf_counter_ns",
        "clock_gettime",
        "clock_gettime_ns",
        "localtime",
        "gmtime",
    },
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}

MODULE_MAX = 300
FUNCTION_MAX = 40
#: Where a bug is contained: module → how often, and what is protected.
BULKHEADS = {
    "engine/poll.py": (2, "a bug in one adapter, or in judging its reading, pages like an outage"),
    "engine/poller.py": (1, "one poll does not stop the others"),
    "engine/deliver.py": (2, "a bug in one adapter climbs the ladder; one delivery does not stop the others"),
    "engine/suppress.py": (1, "in doubt whether an alert is silenced, it is sent"),
    "app.py": (1, "a file that cannot even be refused does not end a daemon that works by another one"),
    "duties.py": (1, "one ring of a bell does not end its duty"),
    "plan.py": (2, "one part does not silence its provider or channel for good; enrolling is tried again"),
    "api/server.py": (1, "one request does not show our insides"),
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def modules_imported(tree: ast.AST):
    """Every absolute module name an import statement anywhere in the file mentions, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the layer"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def may_import(part: str, imported: str) -> bool:
    if part not in LAYERS:
        return True  # wiring may import everything
    own = imported.partition(".")[0]
    if own in {part, "errors"} or (part, own) in ALLOWED:
        return True
    return any(imported == allowed or imported.startswith(f"{allowed}.") for allowed in LAYERS[part])


def forbidden(path: Path, source: str) -> list[str]:
    part, found = part_of(path), []
    for module, line in modules_imported(ast.parse(source)):
        package, _, inner = module.partition(".")
        if package == "monitor" and inner and not inner.startswith("__") and not may_import(part, inner):
            found.append(f"monitor/{name_of(path)}:{line}: {part} must not import monitor.{inner}")
        if part == "model" and package != "monitor" and package not in sys.stdlib_module_names:
            found.append(f"monitor/{name_of(path)}:{line}: model must not import {package}")
    return found


def clock_reads(source: str) -> list[str]:
    """Where the source takes the time from the system, or imports what does."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=attr) if attr in CLOCKS.get(
                owner, ()
            ):
                found.append(f"{node.lineno}: {owner}.{attr}")
            case ast.Call(func=ast.Attribute(attr="time", value=owner)) if "loop" in ast.unparse(owner):
                found.append(f"{node.lineno}: {ast.unparse(owner)}.time()")
            case ast.ImportFrom(module="time", names=names):
                found += [f"{node.lineno}: time.{alias.name}" for alias in names if alias.name in CLOCKS["time"]]
    return found


def functions_too_long(source: str) -> list[str]:
    return [
        f"{node.lineno}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno + 1 > FUNCTION_MAX
    ]


def catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(each is None or (isinstance(each, ast.Name) and each.id == "Exception") for each in caught)


def bulkheads(source: str) -> list[tuple[int, bool]]:
    """Each handler of Exception: its line, and whether a comment right there says `# Bulkhead:`."""
    lines = source.splitlines()
    return [
        (node.lineno, any("# Bulkhead:" in line for line in lines[node.lineno - 1 : node.body[0].lineno]))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ExceptHandler) and catches_everything(node)
    ]


every_module = pytest.mark.parametrize("path", [pytest.param(path, id=name_of(path)) for path in MODULES])


def test_there_is_something_to_look_at():
    assert len(MODULES) > 30


@every_module
def test_imports_point_downwards_only(path):
    assert forbidden(path, path.read_text("utf-8")) == []


@every_module
def test_only_who_must_reads_the_clock(path):
    reads = clock_reads(path.read_text("utf-8"))

    assert name_of(path) in CLOCK_READERS or reads == [], f"monitor/{name_of(path)} reads the clock"


@every_module
def test_a_module_fits_into_the_head(path):
    lines = len(path.read_text("utf-8").splitlines())

    assert lines <= MODULE_MAX, f"monitor/{name_of(path)} has {lines} lines: split it"


@every_module
def test_a_function_fits_on_a_screen(path):
    assert functions_too_long(path.read_text("utf-8")) == [], f"monitor/{name_of(path)}"


@every_module
def test_whoever_catches_everything_says_what_it_protects(path):
    unmarked = [line for line, marked in bulkheads(path.read_text("utf-8")) if not marked]

    assert unmarked == [], f"monitor/{name_of(path)} catches Exception without `# Bulkhead:`"


def test_there_are_these_bulkheads_and_no_other():
    found = {name_of(path): len(bulkheads(path.read_text("utf-8"))) for path in MODULES}

    assert {name: count for name, count in found.items() if count} == {
        name: count for name, (count, _) in BULKHEADS.items()
    }


@every_module
def test_every_folder_is_a_package_that_gets_installed(path):
    assert (path.parent / "__init__.py").exists()


# The searches themselves, so that they cannot go blind.


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("model/money.py", "from decimal import Decimal", 0),
        ("model/money.py", "import msgspec", 1),
        ("model/money.py", "from monitor.fields import amount", 1),
        ("rules/stale.py", "from monitor.engine.decide import decide", 1),
        ("engine/poll.py", "from monitor.store.redis import RedisStore", 1),
        ("engine/poll.py", "def f():\n    import monitor.providers.kuna", 1),
        ("providers/kuna.py", "from monitor.engine.ports import Provider", 0),
        ("providers/kuna.py", "from monitor.engine import ports", 0),
        ("providers/kuna.py", "from monitor.engine.decide import decide", 1),
        ("channels/slack.py", "from monitor.providers.http import get", 1),
        ("store/redis.py", "from monitor.errors import StoreUnusable", 0),
        ("api/server.py", "from monitor.engine.ports import Reader\nfrom monitor.store import keys", 1),
        ("app.py", "from monitor.store.redis import RedisStore", 0),
    ],
)
def test_a_forbidden_import_is_found(path, source, expected):
    assert len(forbidden(ROOT / path, source)) == expected


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time\ntime.monotonic()",
        "from time import perf_counter",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.utcnow()",
        "from datetime import datetime, UTC\nclock = datetime.now",
        "from datetime import date\ndate.today()",
        "import asyncio\nasyncio.get_running_loop().time()",
        "loop.time()",
        "self._loop.time()",
    ],
)
def test_a_look_at_the_clock_is_found(source):
    assert clock_reads(source)


@pytest.mark.parametrize(
    "source", ["now()", "event.time", "datetime.fromtimestamp(1, tz=UTC)", "import time", "moment.time()"]
)
def test_time_as_an_argument_is_not_taken_for_a_clock(source):
    assert not clock_reads(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("try: x()\nexcept Exception: y()", [(2, False)]),
        ("try: x()\nexcept: y()", [(2, False)]),
        ("try:\n    x()\nexcept (ValueError, Exception):\n    y()", [(3, False)]),
        ("try:\n    x()\nexcept Exception:\n    # Bulkhead: one poll\n    y()", [(3, True)]),
        ("try:\n    x()\nexcept ValueError:\n    y()", []),
    ],
)
def test_a_handler_of_everything_is_found(source, expected):
    assert bulkheads(source) == expected


def test_a_long_function_is_found():
    assert functions_too_long("def f():\n" + "    x()\n" * FUNCTION_MAX)
    assert not functions_too_long("def f():\n" + "    x()\n" * (FUNCTION_MAX - 1))


def test_every_part_has_a_row_or_is_wiring():
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert folders == set(LAYERS) - {"errors", "deadlines", "fields", "egress", "redact"} | WIRING
    for adapter in ADAPTERS & set(LAYERS):
        assert not ADAPTERS & set(LAYERS[adapter]), f"{adapter} may not import another adapter"
