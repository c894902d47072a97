import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.channels.text import clean, cut, encodable, fit, utf16, without_numbers

FAMILY = "👨‍👩‍👧‍👦"
ANYTHING = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        pytest.param("hot\x00\x1b[31m", "hot[31m", id="control characters"),
        pytest.param("a\x85b\x9fc", "abc", id="C1"),
        pytest.param("\u202egnp.exe", "gnp.exe", id="right-to-left override"),
        pytest.param("a\u2066b\u2069c\u200ed", "abcd", id="isolates and marks"),
        pytest.param("h\u200bo\u200dt\ufeff", "hot", id="zero width"),
        pytest.param("a\ud800b", "ab", id="a lone surrogate"),
        pytest.param(" a\r\n\tb\u2028c ", "a b c", id="one line"),
        pytest.param("Zoë 東京 👍🏽", "Zoë 東京 👍🏽", id="other scripts stay"),
    ],
)
def test_what_is_hidden_goes_and_what_is_visible_stays(raw, seen):
    assert clean(raw) == seen


@pytest.mark.parametrize(
    ("raw", "limit", "kept"),
    [
        pytest.param("short", 5, "short", id="fits"),
        pytest.param("longer", 5, "long…", id="one too long"),
        pytest.param("ab👍cd", 5, "ab👍…", id="counted in UTF-16"),
        pytest.param("abe\u0301xyz", 4, "ab…", id="a letter keeps its accent"),
        pytest.param("a👍🏽xyz", 5, "a…", id="a hand keeps its colour"),
        pytest.param(f"a{FAMILY}xyz", 9, "a…", id="a family stays together"),
        pytest.param("🇩🇪🇫🇷🇮🇹", 8, "🇩🇪…", id="a flag is two letters"),
        pytest.param("abc", 0, "", id="no room at all"),
    ],
)
def test_a_cut_never_splits_what_people_see_as_one(raw, limit, kept):
    assert cut(raw, limit) == kept


@given(ANYTHING, st.integers(0, 50))
def test_cut_text_fits_and_begins_like_the_original(raw, limit):
    short = cut(raw, limit)

    assert utf16(short) <= limit
    assert raw.startswith(short.removesuffix("…").rstrip()) or short == ""


@given(ANYTHING, st.integers(6, 60))
def test_escaped_text_fits_whatever_the_escape_does(raw, limit):
    assert utf16(fit(raw, limit, lambda part: part.replace("&", "&amp;"))) <= limit


@given(ANYTHING)
def test_everything_can_be_encoded_afterwards(raw):
    clean(raw).encode()
    encodable(raw).encode()


def test_every_number_in_prose_is_masked():
    assert without_numbers("down to 1,412.50 USDT from 90'210 (-3%)") == "down to ••• USDT from ••• (-•••%)"
