"""Lines on a terminal."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from monitor.commands.shown import say

STORY = (
    "  2026-11-20 12:01:00Z  firing    warning  available 50 USDT (threshold 100)  → ops, pager  (as read at 11:59:00Z)"
)


def said(line, *, terminal=True, width=80):
    out = io.StringIO()
    say(Console(file=out, force_terminal=terminal, width=width, color_system=None), line)
    return out.getvalue().splitlines()


def test_what_is_wider_than_the_terminal_goes_on_below_set_in():
    shown = said(STORY)

    assert len(shown) == 2
    assert max(map(len, shown)) <= 80
    assert shown[1].startswith("      ")
    assert shown[1][6] != " "
    assert " ".join(" ".join(shown).split()) == " ".join(STORY.split())


@pytest.mark.parametrize("line", ["short", "x" * 80])
def test_what_fits_stays_as_it_is(line):
    assert said(line) == [line]


def test_a_file_gets_one_line_however_long():
    assert said(STORY, terminal=False) == [STORY]


def test_a_word_that_is_wider_than_all_is_cut_not_lost():
    shown = said("y" * 200)

    assert max(map(len, shown)) <= 80
    assert "".join(one.strip() for one in shown) == "y" * 200


def test_styles_stay_with_their_words():
    out = io.StringIO()
    line = Text("a " * 60).append("red", "red")

    say(Console(file=out, force_terminal=True, width=80, color_system="standard"), line)

    assert "\x1b[31mred\x1b[0m" in out.getvalue()
