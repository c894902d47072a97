"""Accounts from CSV files: the same settings, a line each, and every bad line told."""

from datetime import timedelta
from pathlib import Path

import pytest

from monitor.config import load
from monitor.config.accounts import MAX_MISTAKES
from monitor.errors import ConfigError

CONFIG = """\
version: 1
providers:
  casino:
    type: cryptofuse
    auth: {api_key: {env: KEY}}
    accounts: {hot: {wallet_id: w0}}
    accounts_from: players.csv
"""
KAIKO = """\
version: 1
providers:
  chain: {type: kaiko, auth: {api_key: {env: KEY}}, accounts_from: players.csv}
"""
PACIFICA = """\
version: 1
providers:
  perps: {type: pacifica, accounts_from: players.csv}
"""


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Loads a configuration beside a CSV file of these lines."""
    monkeypatch.chdir(tmp_path)

    def load_with(*lines, config=CONFIG, encoding="utf-8"):
        (tmp_path / "config.yaml").write_text(config)
        (tmp_path / "players.csv").write_text("\n".join(lines) + "\n", encoding)
        return load(Path("config.yaml"), environment={"KEY": "k"})

    return load_with


def mistakes(loaded, *lines, **more):
    with pytest.raises(ConfigError) as caught:
        loaded(*lines, **more)
    return caught.value.mistakes


def test_a_row_is_an_account_and_empty_cells_are_absent(loaded):
    config = loaded(
        "id, wallet_id, interval, assets, label.tier, label.desk",
        "player-1, w1, 15s, USDT;BTC, vip, eu",
        "player-2, w2, , , , ",
        "",
        'player-3, w3, , "ETH|TRX", vip, eu',
    )

    one, two, three = (config.accounts[f"player-{n}"] for n in (1, 2, 3))
    assert (one.target.wallet_id, one.interval) == ("w1", timedelta(seconds=15))
    assert one.wallet != two.wallet
    assert (one.assets, one.labels) == (("USDT", "BTC"), {"tier": "vip", "desk": "eu"})
    assert (two.interval, two.assets, two.labels) == (timedelta(minutes=1), (), {})
    assert three.assets == ("ETH", "TRX")
    assert set(config.accounts) == {"hot", "player-1", "player-2", "player-3"}


def test_equal_labels_and_timetables_are_kept_once(loaded):
    config = loaded("id,wallet_id,interval,label.tier", "a,w,15s,vip", "b,w,15s,vip")

    assert config.accounts["a"].labels is config.accounts["b"].labels
    assert config.accounts["a"].interval is config.accounts["b"].interval
    assert config.timetables["a"] is config.timetables["b"]


def test_several_addresses_share_a_cell(loaded):
    config = loaded("id,addresses", "cold,bc1qar0srrr7x|1BvBMSEYstWe", config=KAIKO)

    assert config.accounts["cold"].target == ("bc1qar0srrr7x", "1BvBMSEYstWe")
    assert config.accounts["cold"].wallet == "", "it may be given more of them"


def test_a_dotted_column_is_a_setting_within_a_setting(loaded):
    config = loaded("id,address,events.start_from", "hedge,42trU9A5xv6b,2026-12-01T06:00:00Z", config=PACIFICA)

    address, start = config.accounts["hedge"].target
    assert config.accounts["hedge"].wallet == address, "when its events begin is no other money"
    assert (address, start.isoformat()) == ("42trU9A5xv6b", "2026-12-01T06:00:00+00:00")


def test_a_byte_order_mark_is_no_part_of_the_first_column(loaded):
    assert "a" in loaded("id,wallet_id", "a,w", encoding="utf-8-sig").accounts


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(
            ["id,wallet_id,interval", "a,w,15", "b,w,10ms", "c,w,5s"],
            [
                "players.csv:2: a.interval: '15' is not a duration, write 15s",
                "players.csv:3: b.interval: the shortest interval is 100ms",
            ],
            id="every bad row",
        ),
        pytest.param(
            ["id,wallet_id", "a,w", "a,w2"],
            ["players.csv:3: a: there is already an account of this name, in players.csv:2"],
            id="a name twice in the file",
        ),
        pytest.param(
            ["id,wallet_id", "hot,w"],
            ["players.csv:2: hot: there is already an account of this name, in config.yaml:6"],
            id="a name that the configuration has",
        ),
        pytest.param(
            ["id,wallet_id", "a b,w", "..,w", "...,w"],
            [
                f"players.csv:{line}: {name}: a name has 1 to 128 letters, digits, dots, underscores or hyphens, "
                "and is not . or .."
                for line, name in ((2, "a b"), (3, ".."))
            ],
            id="names that cannot be, as no address leads to them",
        ),
        pytest.param(
            ["id,walet_id", "a,w", "b,w"],
            ["players.csv:1: walet_id: there is no such setting, did you mean 'wallet_id'?"],
            id="an unknown column, however many rows there are",
        ),
        pytest.param(
            ["wallet_id", "w"],
            ["players.csv:1: the first line must name the columns, one of them id"],
            id="no column id",
        ),
        pytest.param(
            ["id,wallet_id,tier", "a,w,vip", "b,w,"],
            ["players.csv:1: tier: there is no such setting; a label of your own is label.tier"],
            id="a label without its prefix",
        ),
        pytest.param(
            ["id,wallet_id,", "a,w,", ",w,"],
            [
                "players.csv:1: a column has no name",
                "players.csv:3: a name has 1 to 128 letters, digits, dots, underscores or hyphens, and is not . or ..",
            ],
            id="a comma too many, and no name",
        ),
        pytest.param(
            ["id;wallet_id", "a;w"],
            ["players.csv:1: the first line must name the columns, one of them id, with commas between them"],
            id="semicolons",
        ),
        pytest.param(
            ["id,wallet_id,wallet_id", "a,b,c"],
            ["players.csv:1: the column 'wallet_id' is there twice"],
            id="a column twice",
        ),
        pytest.param(
            ["id,label.a,labels", "a,b,c"],
            ["players.csv:1: the column 'labels' is there twice"],
            id="labels as a column of its own",
        ),
        pytest.param(
            ["id,wallet_id", "a,w,more"],
            ["players.csv:2: a: 3 cells under 2 columns"],
            id="a cell too many",
        ),
        pytest.param(
            ["id,wallet_id", 'a,"w'],
            ["players.csv:2: not valid CSV: unexpected end of data"],
            id="a quote that never ends",
        ),
        pytest.param(
            [], ["players.csv:1: the first line must name the columns, one of them id"], id="nothing at all"
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_told_by_line(loaded, lines, said):
    assert mistakes(loaded, *lines) == said


def test_a_file_full_of_mistakes_is_told_by_its_first_ones_and_a_count(loaded):
    said = mistakes(loaded, "id,wallet_id,interval", *(f"player-{n},w,15" for n in range(1_000)))

    assert len(said) == MAX_MISTAKES + 1
    assert said[0].startswith("players.csv:2: player-0.interval: ")
    assert said[-1] == "players.csv:1001: 950 more rows are wrong"


def test_a_provider_whose_timetable_is_wrong_says_so_once(loaded):
    config = CONFIG.replace("    accounts:", "    cron: 61 * * * *\n    accounts:")

    said = mistakes(loaded, "id,wallet_id", "a,w", "b,w", config=config)

    assert said == ["config.yaml:6: providers.casino.cron: '61' is not a minute of a cron line (0-59)"]


def test_a_file_in_another_encoding_is_told_as_such(loaded):
    [said] = mistakes(loaded, "id,wallet_id", "ä,w", encoding="latin-1")

    assert said == "config.yaml:7: providers.casino.accounts_from: players.csv:2: not valid UTF-8"
