"""YAML means what a person reads in it, and says so when it could mean something else."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config.yamlfile import MAX_ALIASED, MAX_DEPTH, parse, read
from monitor.errors import ConfigError


def value(text):
    document = parse(text.encode(), "f.yaml")
    assert document.mistakes == ()
    return document.value


def mistakes(text):
    raw = text if isinstance(text, bytes) else text.encode()
    try:
        return [str(mistake) for mistake in parse(raw, "f.yaml").mistakes]
    except ConfigError as error:
        return error.mistakes


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("250.10", Decimal("250.10"), id="a fraction keeps its digits"),
        pytest.param("0.1", Decimal("0.1"), id="a tenth is a tenth"),
        pytest.param("1e5", Decimal("1e5"), id="an exponent"),
        pytest.param(".5", Decimal("0.5"), id="no leading zero"),
        pytest.param("-12.000000000000000001", Decimal("-12.000000000000000001"), id="eighteen decimals"),
        pytest.param("250_000", 250_000, id="underscores group digits"),
        pytest.param("1_000.25", Decimal("1000.25"), id="and before a fraction"),
        pytest.param("-1001234567890", -1001234567890, id="a negative chat id"),
        pytest.param("0", 0, id="zero"),
        pytest.param("1__0", "1__0", id="two underscores are no number"),
        pytest.param("no", "no", id="no is a word: an asset may be called NO"),
        pytest.param("on", "on", id="so is on"),
        pytest.param("true", True, id="true"),
        pytest.param("False", False, id="false, capitalised"),
        pytest.param("null", None, id="null"),
        pytest.param("~", None, id="a tilde"),
        pytest.param("1:30.5", "1:30.5", id="base 60 is text"),
        pytest.param("22:00", "22:00", id="so is a time of day"),
        pytest.param("2026-12-01T06:00:00Z", "2026-12-01T06:00:00Z", id="and a timestamp"),
        pytest.param("1.2.3", "1.2.3", id="and a version"),
        pytest.param('"250.10"', "250.10", id="a quoted number is text"),
        pytest.param("'010'", "010", id="a quoted octal too"),
        pytest.param("|\n  12\n", "12\n", id="and a block"),
        pytest.param("٣", "٣", id="digits of other scripts are text"),
        pytest.param("=", "=", id="an equals sign"),
    ],
)
def test_a_scalar_means_what_it_looks_like(written, meant):
    found = value(f"a: {written}")["a"]

    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("a: 010", 'f.yaml:1: a: 010 looks octal, write 10, or "010" if it is text'),
        ("a: 0o17", 'f.yaml:1: a: 0o17 looks octal, write "0o17" if it is text'),
        ("a: 007.5", 'f.yaml:1: a: 007.5 looks octal, write 7.5, or "007.5" if it is text'),
        ("a: 0x1F", 'f.yaml:1: a: 0x1F looks hexadecimal, write "0x1F" if it is text'),
        ("a: 0b11", 'f.yaml:1: a: 0b11 looks binary, write "0b11" if it is text'),
        ("a: -.INF", 'f.yaml:1: a: -.INF is not a number, write "-.INF" if it is text'),
        ("a: .nan", 'f.yaml:1: a: .nan is not a number, write ".nan" if it is text'),
        ("a: 1e9999", "f.yaml:1: a: 1e9999 is too large or too long for a number: put it in quotes if it is text"),
        ("w: 550e8400", "f.yaml:1: w: 550e8400 is too large or too long for a number: put it in quotes if it is text"),
        ('a: 1\nb: "x\nc: 2\n', "f.yaml:4: not valid YAML: the quote that opens in line 2 is never closed"),
        ("a:\n  b: 'x\n", "f.yaml:3: not valid YAML: the quote that opens in line 2 is never closed"),
        ("a: {{ account }}", "f.yaml:1: a: {{ begins no text: put it in quotes"),
        ("a: 1\nb:\n  c: 2\n  c: 3", "f.yaml:4: b.c: given twice, first in line 3"),
        ('1: a\n"1": b', "f.yaml:2: 1: given twice, first in line 1"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a second document (---), one file holds one"),
        ("a: [*b]", "f.yaml:1: a[0]: *b has no anchor before it"),
        ("a: &b [1, *b]", "f.yaml:1: a[1]: *b contains itself"),
        ("a:\n  <<: 5", "f.yaml:2: a.<<: merges a mapping or a list of mappings"),
        ("? [1]\n: 2", "f.yaml:1: a key must be text"),
        ("a: !x y", "f.yaml:1: a: the tag !x is not allowed, write a plain value or quote it"),
        ("!!str a: 1", "f.yaml:1: the tag tag:yaml.org,2002:str is not allowed on a key"),
        ("a:\n\tb: 1", "f.yaml:2: not valid YAML: a tab in the indentation, use spaces"),
        (b"a: 1\nb: \xff", "f.yaml:2: not valid UTF-8"),
        ("a: 1\nb: \x07", "f.yaml:2: a control character, U+0007"),
        ("a: " + "[" * 60 + "]" * 60, f"f.yaml:1: nested deeper than {MAX_DEPTH} levels"),
    ],
)  # fmt: skip
def test_what_could_surprise_is_refused_with_its_line_and_the_way_out(written, said):
    assert mistakes(written) == [said]


def test_every_mistake_of_a_file_is_told_at_once():
    assert len(mistakes("a: 010\nb: .nan\nc: 0x1\nc: 2\nd: *x")) == 5


def test_a_syntax_error_names_its_line():
    [said] = mistakes("a: 1\nb: [1, 2\nc: 3")

    assert said.startswith("f.yaml:3: not valid YAML: ")


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("a: low: top up", "; put the text in quotes"),
        ("a: {{ account }} is low", "; put the text in quotes"),
        ("a: {b: {{ account }} is low}", "; put the text in quotes"),
        ("a: @ops", "; put the text in quotes"),
        ("a: {b: low: top up}", "; a comma is missing, or a text with `: ` in it needs quotes"),
        ("a: 1\n  b: 2", "; look at the indentation"),
        ("a: - b", "not allowed in this context"),
    ],
)
def test_a_text_that_yaml_takes_for_something_else_wants_quotes(written, hint):
    [said] = mistakes(written)

    assert said.endswith(hint)


def test_keys_are_their_literal_text():
    assert value("007: a\nno: b\n1.50: c\nnull: d") == {"007": "a", "no": "b", "1.50": "c", "null": "d"}


def test_anchors_and_merges_share_values_and_the_nearer_key_wins():
    text = "base: &base {p: 1, q: 2}\nmore: &more {q: 3, r: 4}\nthis: {<<: [*base, *more], r: 5}"

    assert value(text)["this"] == {"p": 1, "q": 2, "r": 5}


def test_a_path_knows_its_line_through_aliases_and_merges():
    document = parse(b"base: &b\n  p: 1\n  q:\n    - 2\n    - 3\nthis:\n  <<: *b\n  r: 4\nthat: *b\n", "f.yaml")

    assert document.line(("base", "q", 1)) == 5
    assert document.line(("this", "q", 1)) == 5
    assert document.line(("this", "r")) == 8
    assert document.line(("that", "p")) == 2
    assert document.line(("that",)) == 9
    assert document.line(("this", "unknown", "below")) == 6


def test_a_billion_laughs_end_quickly():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]

    [said] = mistakes("\n".join(lines))

    assert said.endswith(f"its aliases stand for more than {MAX_ALIASED} values")


def test_a_missing_file_and_a_directory_are_told_as_such(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read(tmp_path / "none.yaml", "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read(tmp_path, "folder")


def test_no_tag_makes_an_object():
    [said] = mistakes("a: !!python/object/apply:os.system [true]")

    assert said.startswith("f.yaml:1: a: the tag tag:yaml.org,2002:python/object/apply:os.system is not allowed")


def test_an_empty_file_is_nothing_and_a_byte_order_mark_is_not_a_key():
    assert parse(b"", "f.yaml").value is None
    assert parse(b"\xef\xbb\xbfa: 1", "f.yaml").value == {"a": 1}


@settings(max_examples=300)
@given(
    st.one_of(st.binary(max_size=200), st.text("ab01:-[]{},&*!<|>'\"\\#%@?~ \n\t.eE_x", max_size=80).map(str.encode))
)
def test_any_bytes_become_a_document_or_a_told_mistake(raw):
    assert all(line.startswith("f.yaml:") for line in mistakes(raw))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**20), max_value=10**20))
def test_a_decimal_comes_back_digit_for_digit(number):
    assert value(f"a: {number:f}")["a"] == number
