"""YAML as people mean it: exact numbers, plain words, line numbers, and no surprises.

Read from the parser's events, never through its constructors: `250.10` is a Decimal from its own text, an
asset called `NO` stays a word, of two equal keys neither silently wins, and a file cannot make us build
more than it is worth. YAML 1.1's octal, hexadecimal, base-60, date and float forms are refused or left text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from monitor.config.mistakes import Mistake, Steps, clip, dotted
from monitor.config.yamlwords import plain
from monitor.errors import ConfigError

#: A hundred thousand accounts written out take a tenth of this.
MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 40
#: How many values aliases may stand for, all together: far beyond what people write, far below a bomb.
MAX_ALIASED = 100_000
#: Nobody reads further.
MAX_MISTAKES = 200

#: The stubs give no type to what the C parser yields.
Events = Iterator[Any]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Text that begins with what YAML takes for something else.
_SPECIAL = re.compile(r"[:,\[{-]\s+(?:\{\{|[@%`])")
_TWO_COLONS = re.compile(r":\s.*:(?:\s|$)")
_UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE


@dataclass(frozen=True, slots=True)
class Lines:
    """The line of a value, and of the values in it."""

    line: int
    below: dict[str | int, "Lines"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its plain value, the line of every path in it, and what is wrong with it as YAML."""

    file: str
    value: Any
    lines: Lines
    mistakes: tuple[Mistake, ...] = ()

    def line(self, path: Steps) -> int:
        """The line of a path, or of the nearest thing around it that exists."""
        lines = self.lines
        for step in path:
            lines = lines.below.get(step, lines)
        return lines.line

    def mistake(self, path: Steps, what: str) -> Mistake:
        """What is wrong there."""
        return Mistake(self.file, self.line(path), dotted(path), what)

    def at(self, path: Steps) -> Any:
        """The value at a path, None when there is none; one value may stand for a list of one."""
        value = self.value
        for step in path:
            match value:
                case dict():
                    value = value.get(step)
                case list():
                    value = value[step] if isinstance(step, int) and step < len(value) else None
                case _ if step != 0:
                    return None
        return value


def read(path: Path, name: str) -> bytes:
    """The bytes of a file, at most one more than we accept; ConfigError when there is no reading it."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError([f"{name}: cannot be read: {why}"]) from None


def parse(raw: bytes, name: str) -> Document:
    """The document in these bytes, which messages call `name`. ConfigError when it is no YAML at all."""
    text = _text(raw, name)
    try:
        return _Builder(name).build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise _error(name, line, f"not valid YAML: {_problem(error, text, line)}") from None
    except yaml.YAMLError as error:
        raise _error(name, 1, f"not valid YAML: {type(error).__name__}") from None


def _error(name: str, line: int, what: str) -> ConfigError:
    return ConfigError([str(Mistake(name, line, "", what))])


def _text(raw: bytes, name: str) -> str:
    if len(raw) > MAX_BYTES:
        raise _error(name, 1, f"larger than {MAX_BYTES // 1024 // 1024} MB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _error(name, raw.count(b"\n", 0, error.start) + 1, "not valid UTF-8") from None
    if odd := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        raise _error(name, line, f"a control character, U+{ord(odd[0]):04X}")
    return text


def _problem(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    written = text.split("\n")[line - 1 : line]
    if written and "\t" in written[0][: len(written[0]) - len(written[0].lstrip())]:
        return "a tab in the indentation, use spaces"
    if "quoted scalar" in (error.context or "") and "end of stream" in (error.problem or "") and error.context_mark:
        return f"the quote that opens in line {error.context_mark.line + 1} is never closed"
    said = " ".join(part for part in (error.context, error.problem) if part)
    return clip(said or "syntax error", 200) + _hint(said, written[0] if written else "")


def _hint(said: str, written: str) -> str:
    """What people most often meant who wrote such a line."""
    if _SPECIAL.search(written) or ("mapping values are not allowed" in said and _TWO_COLONS.search(written)):
        return "; put the text in quotes"
    if "',' or" in said:
        return "; a comma is missing, or a text with `: ` in it needs quotes"
    return "; look at the indentation" if "mapping values are not allowed" in said else ""


@dataclass(slots=True)
class _Builder:
    """Turns events into a Document, one nesting level a call, so depth is bounded before the stack is."""

    name: str
    found: list[Mistake] = field(default_factory=list)
    #: anchor → value, lines, and how many values it stands for; None while it is still being read.
    anchors: dict[str, tuple[Any, Lines, int] | None] = field(default_factory=dict)
    aliased: int = 0
    size: int = 0

    def build(self, text: str) -> Document:
        events: Events = yaml.parse(text, Loader=_LOADER)
        value, lines = None, Lines(1)
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _error(self.name, _line(event), "a second document (---), one file holds one")
                value, lines = self.node(next(events), events, ())
        return Document(self.name, value, Lines(1, lines.below), tuple(self.found))

    def say(self, line: int, path: Steps, what: str) -> None:
        if len(self.found) < MAX_MISTAKES:
            self.found.append(Mistake(self.name, line, dotted(path), what))

    def node(self, event: Any, events: Events, path: Steps) -> tuple[Any, Lines]:
        line = _line(event)
        if len(path) > MAX_DEPTH:
            raise _error(self.name, line, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(str(event.anchor), line, path)
        if event.tag is not None and event.tag != "!":
            self.say(line, path, f"the tag {clip(event.tag)} is not allowed, write a plain value or quote it")
        before = self.size
        self.size += 1
        if event.anchor:
            self.anchors[event.anchor] = None
        value: Any
        if isinstance(event, yaml.MappingStartEvent):
            value, lines = self.mapping(line, events, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            value, lines = self.sequence(line, events, path)
        else:
            value, lines = self.scalar(event, path), Lines(line)
        if event.anchor:
            self.anchors[event.anchor] = (value, lines, self.size - before)
        return value, lines

    def alias(self, anchor: str, line: int, path: Steps) -> tuple[Any, Lines]:
        meant = self.anchors.get(anchor)
        if meant is None:
            inside = anchor in self.anchors
            self.say(line, path, f"*{clip(anchor)} {'contains itself' if inside else 'has no anchor before it'}")
            return None, Lines(line)
        value, lines, size = meant
        self.aliased += size
        self.size += size
        if self.aliased > MAX_ALIASED:
            raise _error(self.name, line, f"its aliases stand for more than {MAX_ALIASED} values")
        return value, Lines(line, lines.below)

    def sequence(self, line: int, events: Events, path: Steps) -> tuple[list[Any], Lines]:
        values: list[Any] = []
        lines = Lines(line)
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            index = len(values)
            value, lines.below[index] = self.node(event, events, (*path, index))
            values.append(value)
        return values, lines

    def mapping(self, line: int, events: Events, path: Steps) -> tuple[dict[str, Any], Lines]:
        values: dict[str, Any] = {}
        lines = Lines(line)
        merged: list[tuple[Any, Lines]] = []
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self.key(event, events, path)
            at = _line(event)
            value, found = self.node(next(events), events, (*path, key))
            if key == "<<" and not getattr(event, "style", ""):
                merged += self.merge(value, found, at, path)
            elif key in values:
                self.say(at, (*path, key), f"given twice, first in line {lines.below[key].line}")
            else:
                values[key], lines.below[key] = value, Lines(at, found.below)
        for source, where in merged:
            for key in [key for key in source if key not in values]:
                values[key], lines.below[key] = source[key], where.below[key]
        return values, lines

    def key(self, event: Any, events: Events, path: Steps) -> str:
        """A key is its literal text, whatever it looks like: an account may be called 007, an asset NO."""
        if isinstance(event, yaml.ScalarEvent):
            if event.tag is not None and event.tag != "!":
                self.say(_line(event), path, f"the tag {clip(event.tag)} is not allowed on a key")
            if event.anchor:
                self.anchors[event.anchor] = (event.value, Lines(_line(event)), 1)
            return str(event.value)
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            value, _ = self.alias(str(event.anchor), line, path)
        else:
            value, _ = self.node(event, events, (*path, "?"))
        if isinstance(value, str):
            return value
        braces = isinstance(event, yaml.MappingStartEvent) and event.flow_style
        self.say(line, path, "{{ begins no text: put it in quotes" if braces else "a key must be text")
        return "?"

    def merge(self, value: Any, lines: Lines, line: int, path: Steps) -> list[tuple[dict[str, Any], Lines]]:
        pairs = [(value, lines)]
        if isinstance(value, list):
            pairs = [(item, lines.below[index]) for index, item in enumerate(value)]
        if all(isinstance(item, dict) for item, _ in pairs):
            return pairs
        self.say(line, (*path, "<<"), "merges a mapping or a list of mappings")
        return []

    def scalar(self, event: Any, path: Steps) -> Any:
        text: str = event.value
        line = _line(event)
        if any("\ud800" <= char <= "\udfff" for char in text):
            self.say(line, path, "holds half a character (a lone surrogate)")
            return "?"
        # A quoted or block scalar is text, whatever it looks like. Plain is None or "", by parser.
        if event.style or event.tag is not None:
            return text
        try:
            return plain(text)
        except ValueError as error:
            self.say(line, path, str(error))
            return text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
