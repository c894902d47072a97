"""Selecting by labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.labels import compile_match

LABELS = {"role": "hot", "account": "player-7", "provider": "casino", "empty": ""}


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        pytest.param({}, True, id="nothing asked: everything fits"),
        pytest.param({"role": "hot"}, True, id="the value"),
        pytest.param({"role": "cold"}, False, id="another value"),
        pytest.param({"role": "HOT"}, False, id="upper and lower case differ"),
        pytest.param({"role": ["cold", "hot"]}, True, id="one of a list"),
        pytest.param({"role": ["cold", "warm"]}, False, id="none of a list"),
        pytest.param({"account": "player-*"}, True, id="a glob"),
        pytest.param({"account": "Player-*"}, False, id="a glob minds its case"),
        pytest.param({"account": "player-?"}, True, id="one character"),
        pytest.param({"account": "player-??"}, False, id="two characters"),
        pytest.param({"account": "player-[0-6]"}, False, id="a set"),
        pytest.param({"account": "*-7"}, True, id="the end"),
        pytest.param({"account": "player"}, False, id="a plain value is the whole value"),
        pytest.param({"account": ["x", "pl*"]}, True, id="a glob in a list"),
        pytest.param({"role": "hot", "provider": "casino"}, True, id="all hold"),
        pytest.param({"role": "hot", "provider": "chain"}, False, id="all must hold"),
        pytest.param({"team": "*"}, False, id="a label that is absent has no value at all"),
        pytest.param({"team": ""}, True, id="and can be asked for as absent"),
        pytest.param({"empty": ""}, True, id="an empty value is empty"),
        pytest.param({"empty": "*"}, True, id="but it is there"),
        pytest.param({"role": ""}, False, id="a value is not empty"),
        pytest.param({"role": ["", "hot"]}, True, id="absent or hot"),
        pytest.param({"role": []}, False, id="an empty list fits nothing"),
    ],
)
def test_labels_match_when_every_one_holds(match, holds):
    assert compile_match(match)(LABELS) is holds


def test_a_value_that_looks_like_a_glob_matches_itself():
    assert compile_match({"account": "[hot]"})({"account": "[hot]"})


def test_a_glob_does_not_end_at_a_line_break():
    assert not compile_match({"account": "hot"})({"account": "hot\n"})
    assert compile_match({"account": "hot*"})({"account": "hot\nwallet"})


_words = st.text("ab*?[]-", max_size=4)
_matches = st.dictionaries(st.sampled_from("xyz"), st.one_of(_words, st.lists(_words, max_size=3)), max_size=3)
_labels = st.dictionaries(st.sampled_from("xyz"), _words, max_size=3)


@given(_matches, _labels)
def test_more_conditions_never_match_more(match, labels):
    if compile_match(match)(labels):
        for label in match:
            assert compile_match({label: match[label]})(labels)


@given(_labels)
def test_labels_match_themselves(labels):
    assert compile_match(labels)(labels)
