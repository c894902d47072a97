"""One line per fact: `noun.verb` plus fields, JSON unless a person is watching, and never a secret."""

import logging
import reprlib
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, BinaryIO, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from monitor.model.window import utc_text
from monitor.redact import MASK, redact

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]

#: A value is cut to this many characters, a traceback keeps its last ones (they say what happened).
VALUE_MAX = 2_000
TRACEBACK_MAX = 8_000
#: No line is longer, whatever it carries.
LINE_MAX = 16_000
_DEPTH_MAX = 4
_ITEMS_MAX = 50
#: JSON readers keep no larger integers apart.
_INT_MAX = 2**63

assert VALUE_MAX < TRACEBACK_MAX < LINE_MAX

#: Fields that are never shown, whatever they hold.
_SENSITIVE = frozenset({"authorization", "api_key", "api-key", "password", "secret", "cookie", "set-cookie"})
#: Survives a broken `__repr__`; its own cuts are far beyond ours, which come after the redaction.
_repr = reprlib.Repr()
_repr.maxother = 1_000_000
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), 127, *range(128, 160))}


def configure(level: Level, format: Format, stream: TextIO | BinaryIO, now: Callable[[], datetime]) -> None:  # noqa: A002  # the setting's name
    """Send every log line of the process to `stream`; `now` stamps them. May be called again on reload.

    Lines of libraries that use `logging` arrive as `library.logged`, from WARNING on.
    """
    console = format == "console" or (format == "auto" and stream.isatty())
    render = _console(colors=stream.isatty()) if console else _json
    structlog.configure(
        processors=[structlog.processors.add_log_level, _stamp(now), _explain, _scrub, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(_Unfailing(stream)),  # type: ignore[arg-type]  # it writes and flushes
        cache_logger_on_first_use=False,  # a reload may change the level
    )
    _adopt_stdlib()


def catch_uncaught() -> None:
    """Let the last words of a dying process or thread pass the redactor too."""
    sys.excepthook = _crashed
    threading.excepthook = lambda died: _crashed(died.exc_type, died.exc_value, died.exc_traceback)
    sys.unraisablehook = lambda lost: _crashed(lost.exc_type, lost.exc_value, lost.exc_traceback)


def _crashed(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().error("process.crashed", exc_info=(kind, error, trace))


class _Unfailing:
    """A stream whose troubles are not ours: a full disk or a closed pipe must not fail a poll."""

    def __init__(self, stream: TextIO | BinaryIO) -> None:
        self._raw: Any = getattr(stream, "buffer", stream)

    def write(self, line: bytes) -> None:
        try:
            self._raw.write(line)
        except (OSError, ValueError):
            return

    def flush(self) -> None:
        try:
            self._raw.flush()
        except (OSError, ValueError):
            return


def _stamp(now: Callable[[], datetime]) -> Processor:
    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {"timestamp": utc_text(now()), **event}

    return stamp


def _explain(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Turn `exc_info` into the traceback's text, without the values of local variables."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    if isinstance(found, BaseException):
        found = (type(found), found, found.__traceback__)
    if isinstance(found, tuple) and found[0] is not None:
        event["exception"] = "".join(traceback.format_exception(*found)).rstrip()
    return event


def _scrub(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Plain, bounded and clean values only: what follows may print them as they are."""
    trace = event.pop("exception", None)
    known = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    result = {**known, **_mapping(event, _DEPTH_MAX)}
    result["event"] = _text(str(known.get("event", "")))
    if trace is not None:
        result["exception"] = _text(str(trace), keep_tail=TRACEBACK_MAX)
    return result


def _plain(value: object, depth: int) -> object:
    match value:
        case None | bool() | float():
            return value
        case int():
            clean = redact(str(value))
            return value if clean == str(value) and abs(value) < _INT_MAX else clean
        case str():
            return _text(value)
        case Decimal():
            return _text(format(value, "f") if value.is_finite() and abs(value.adjusted()) < 100 else str(value))
        case datetime() if value.tzinfo is not None:
            return utc_text(value)
        case datetime() | date():
            return value.isoformat()
        case timedelta() | type():
            return str(value) if isinstance(value, timedelta) else value.__name__
        case BaseException():
            return _text("".join(traceback.format_exception_only(value)).rstrip())
        case Mapping() if depth:
            return _mapping(value, depth - 1)
        case list() | tuple() | set() | frozenset() if depth:
            return _items(value, depth - 1)
    return _text(_repr.repr(value))


def _mapping(values: Mapping[Any, object], depth: int) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in values.items():
        if len(result) == _ITEMS_MAX:
            result["…"] = f"{len(values) - _ITEMS_MAX} more"
            break
        name = _text(str(key))
        result[name] = MASK if name.lower() in _SENSITIVE else _plain(value, depth)
    return result


def _items(values: Iterable[object], depth: int) -> list[object]:
    every = list(values)
    kept = [_plain(value, depth) for value in every[:_ITEMS_MAX]]
    return [*kept, f"… {len(every) - _ITEMS_MAX} more"] if len(every) > _ITEMS_MAX else kept


def _text(value: str, keep_tail: int = 0) -> str:
    """Redacted before it is cut, so that no cut leaves half a secret."""
    clean = redact(value if value.isascii() else value.encode("utf-8", "backslashreplace").decode())
    if keep_tail:
        return clean if len(clean) <= keep_tail else "… " + clean[-keep_tail:]
    return clean if len(clean) <= VALUE_MAX else clean[:VALUE_MAX] + " …"


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    line = msgspec.json.encode(event)
    if len(line) <= LINE_MAX:
        return line
    short = {key: event[key] for key in ("timestamp", "level", "event") if key in event}
    trace = str(event.get("exception", ""))[-VALUE_MAX:]
    return msgspec.json.encode({**short, "cut": len(line), **({"exception": trace} if trace else {})})


def _console(*, colors: bool) -> Processor:
    renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)

    def render(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
        # Control characters in a provider's answer must not steer the terminal or forge a second line.
        trace = event.pop("exception", None)
        safe = {k: str(v).translate(_ESCAPES).replace("\n", "\\n") for k, v in event.items()}
        if trace is not None:
            safe["exception"] = str(trace).translate(_ESCAPES)
        return renderer(logger, method, safe)[:LINE_MAX].encode("utf-8", "backslashreplace")

    return render


class _Adopted(logging.Handler):
    """Hands a library's log record to structlog, so there is one format and one redactor."""

    def emit(self, record: logging.LogRecord) -> None:
        # A library may format wrongly; that must not raise into it.
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = str(record.msg)
        log = structlog.get_logger()
        say = log.error if record.levelno >= logging.ERROR else log.warning
        say("library.logged", library=record.name, message=message, exc_info=record.exc_info)


def _adopt_stdlib() -> None:
    root = logging.getLogger()
    for handler in [known for known in root.handlers if isinstance(known, _Adopted)]:
        root.removeHandler(handler)
    root.addHandler(_Adopted(logging.WARNING))
    root.setLevel(logging.WARNING)
    # A handler's failure would print the record, secrets and all, to stderr.
    logging.raiseExceptions = False
