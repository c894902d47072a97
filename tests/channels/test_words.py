"""What a message says, whatever chat says it."""

from decimal import Decimal

import pytest

from monitor.channels.words import Pen, fact, fields, headline, preview, title
from tests.builders import entry, message

PEN = Pen(lambda raw: f"<{raw}>" if raw else "<->")
NOBODY = {"account": "", "provider": "", "asset": None, "labels": {}}


@pytest.mark.parametrize(
    ("about", "said", "named"),
    [
        pytest.param({}, "<hot-a>: 412.50 <USDT>, below 80000", ": <hot-a>", id="an account"),
        pytest.param({"account": ""}, "<casino>: 412.50 <USDT>, below 80000", ": <casino>", id="a provider"),
        pytest.param(
            {**NOBODY, "labels": {"tier": "vip", "role": "hot"}},
            "<role=hot, tier=vip>: 412.50 <USDT>, below 80000",
            ": <role=hot, tier=vip>",
            id="a sum",
        ),
        pytest.param({**NOBODY, "value": None}, ": <all is lost>", "", id="the monitor itself"),
    ],
)
def test_a_line_says_whom_it_is_about_and_leaves_no_gap_where_that_is_nobody(about, said, named):
    told = message(entry(annotations={"summary": "all is lost"}, **about))

    assert preview(told, PEN) == f"[FIRING critical] <HotWalletLow>{'' if said[0] == ':' else ' '}{said}"
    assert title(told, PEN) == f"<HotWalletLow>{named}"


@pytest.mark.parametrize(
    ("about", "said"), [({**NOBODY, "labels": {"channel": "ops"}}, ", the first <channel=ops>"), (NOBODY, "")]
)
def test_of_several_the_first_is_named_if_it_has_a_name(about, said):
    told = message(entry("a", **about), entry("b", **about))

    assert preview(told, PEN) == f"[FIRING critical] <HotWalletLow>: 2 alerts{said}"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        pytest.param({}, "412.50 <USDT>, below 80000 · <{}>", id="told late"),
        pytest.param({"value": Decimal(90_000)}, "90000 <USDT>, limit 80000 · <{}>", id="held while it is good"),
        pytest.param({"rule_type": "high_balance"}, "412.50 <USDT>, limit 80000 · <{}>", id="held below its limit"),
        pytest.param({"rule_type": "high_balance", "value": Decimal(90_000)}, "90000 <USDT>, above 80000 · <{}>"),
        pytest.param({"value": None}, "<{}>", id="no value"),
        pytest.param({"threshold": None}, "412.50 <USDT> · <{}>", id="no limit"),
    ],
)
def test_what_is_to_be_known_of_a_value_stands_behind_it_not_in_its_place(facts, said):
    caveat = "silenced since 2026-11-20T12:00:00Z by maria: key rotation"

    assert fact(entry(annotations={"summary": "low", "caveat": caveat}, **facts), PEN) == said.format(caveat)


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_a_drill_says_so_before_anything_else(status):
    kind = f"alert.{status}"
    told = message(entry(status=status, labels={"role": "hot", "drill": "true"}), kind=kind)

    assert headline(told, PEN).startswith(f"[DRILL {status.upper()}")
    assert preview(told, PEN).startswith(f"[DRILL {status.upper()}")
    assert title(told, PEN) == "DRILL <HotWalletLow>: <hot-a>"
    assert "DRILL" not in preview(message(entry(status=status, labels={"drill": "false"}), kind=kind), PEN)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"measure": "available", "asset": "USDT@ETH"}, {"Measure": "available USDT@ETH"}),
        ({"measure": "equity", "asset": None}, {"Measure": "equity"}),
        ({"measure": None, "asset": "USDT@ETH"}, {"Asset": "USDT@ETH"}),
        ({"measure": None, "asset": None}, {}),
    ],
)
def test_an_asset_is_no_measure(about, said):
    shown = dict(fields(entry(**about), PEN))

    assert {name: value for name, value in shown.items() if name in ("Measure", "Asset")} == said
