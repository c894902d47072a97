"""The command `test`: runs the cases of some files and says what came of them."""

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from monitor.commands.beside import FAILED, OK, print_json
from monitor.commands.checks import counted
from monitor.config.mistakes import printable
from monitor.fields import duration_text
from monitor.ruletest.cases import Case, load
from monitor.ruletest.run import run
from monitor.ruletest.verdict import Failure, Row, failures, timeline

#: Fewer polls are over before a progress bar could be read.
PROGRESS_FROM = 5_000
#: Columns of a timeline that are all shown; of more, those in which something changes.
COLUMNS_WHOLE = 8
#: Polls between two movements of the bar.
STEP = 500


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one test; without failures there is no timeline."""

    case: Case
    failures: list[Failure]
    timeline: list[Row | None]


def run_tests(paths: Sequence[Path], config: Path | None, *, as_json: bool) -> int:
    """Run every test of these files and print what came of it; ConfigError when a file is wrong in itself."""
    results = _run(load(paths, config))
    failed = sum(bool(result.failures) for result in results)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # An encoding without ✓ must not end the run.
        sys.stdout.reconfigure(errors="replace")
    if as_json:
        print_json(_json(results, failed))
    else:
        _print(results, failed)
    return FAILED if failed else OK


def _run(cases: Sequence[Case]) -> list[Result]:
    console = Console(stderr=True)
    polls = sum(case.test.polls for case in cases)
    shown = console.is_terminal and polls >= PROGRESS_FROM
    results = []
    with Progress(console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("polls", total=polls)
        done = 0

        def tick() -> None:
            nonlocal done
            done += 1
            if done % STEP == 0:
                progress.update(task, completed=done)

        for case in cases:
            story = run(case, tick)
            failed = failures(case, story)
            results.append(Result(case, failed, timeline(story, failed) if failed else []))
    return results


def _print(results: Sequence[Result], failed: int) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for result in results:
        name = printable(result.case.test.name)
        console.print(f"✗ {name}" if result.failures else f"✓ {name}", style="red" if result.failures else "green")
        for line in explained(result) if result.failures else ():
            console.print(printable(line), style="red" if line.startswith("  >") else None)
    said = f"{counted(len(results), 'test')}, {f'{failed} failed' if failed else 'all passed'}"
    console.print(said, style="red" if failed else "green")


def explained(result: Result) -> Iterator[str]:
    """A failed test in lines: what was expected, what was, and the timeline around it."""
    for one in result.failures:
        when = "" if one.at is None else f" at {duration_text(one.at)}"
        yield f"  {result.case.file}:{one.line}: {one.what}{when}"
        yield f"    expected {one.expected}"
        yield f"    was      {one.was}"
        yield from (f"    hint     {hint}" for hint in one.hints)
    yield ""
    yield from _table(result)
    yield ""


def _table(result: Result) -> Iterator[str]:
    """`time  samples  what happened`, a line for everything that happened; what went wrong is marked."""
    rows = [row for row in result.timeline if row is not None]
    kept = _kept(rows, len(result.case.test.columns))
    whose, names = zip(*(result.case.test.columns[place] for place in kept), strict=True)
    reads = {id(row): [row.read[place] for place in kept] for row in rows}
    widths = [max(map(len, column)) for column in zip(whose, names, *reads.values(), strict=True)]
    first = max(4, *(len(duration_text(row.at)) for row in rows))
    if any(whose):
        yield f"    {' ' * first}  {_cells(whose, widths)}".rstrip()
    yield f"    {'time'.ljust(first)}  {_cells(names, widths)}  what happened"
    for row in result.timeline:
        if row is None:
            yield f"    {'…'.ljust(first)}"
            continue
        start = f"{duration_text(row.at).ljust(first)}  {_cells(reads[id(row)], widths)}"
        marked = [("    ", line) for line in row.happened] + [("  > ", line) for line in row.wrong]
        for place, (mark, line) in enumerate(marked or [("    ", "")]):
            yield f"{mark}{start if place == 0 else ' ' * len(start)}  {line}".rstrip()


def _kept(rows: Sequence[Row], count: int) -> list[int]:
    """The columns that are shown: of many only those that change, if any does."""
    changing = [place for place in range(count) if len({row.read[place] for row in rows}) > 1]
    return changing if changing and count > COLUMNS_WHOLE else list(range(count))


def _cells(texts: Iterable[str], widths: Sequence[int]) -> str:
    return "  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True))


def _json(results: Sequence[Result], failed: int) -> dict[str, Any]:
    return {"passed": len(results) - failed, "failed": failed, "tests": [_result(one) for one in results]}


def _result(result: Result) -> dict[str, Any]:
    case = result.case
    columns = [" ".join(filter(None, column)) for column in case.test.columns]
    return {
        "file": case.file,
        "line": case.line(),
        "name": case.test.name,
        "passed": not result.failures,
        "failures": [
            {
                "line": one.line,
                "about": one.what,
                "at": None if one.at is None else duration_text(one.at),
                "expected": one.expected,
                "was": one.was,
                "hints": list(one.hints),
            }
            for one in result.failures
        ],
        "timeline": [
            {
                "at": duration_text(row.at),
                "read": dict(zip(columns, row.read, strict=True)),
                "happened": list(row.happened),
                "wrong": list(row.wrong),
            }
            for row in result.timeline
            if row is not None
        ],
    }
