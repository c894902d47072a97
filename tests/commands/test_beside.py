"""What the commands beside the daemon share."""

import pytest

from monitor.commands.beside import about


@pytest.mark.parametrize(
    ("account", "subject", "said"),
    [
        ("hot-usdt", "USDT@ETH", "hot-usdt USDT@ETH"),
        ("hedge", "", "hedge"),
        ("aggregate:FloatTotal", '["hot", "USDT@ETH"]', "hot USDT@ETH"),
        ("aggregate:FloatTotal", "hot", "hot"),
        ("monitor:self", "ops", "ops"),
        ("provider:custody", "", "custody"),
        ("hot", '["', 'hot ["'),
    ],
)
def test_people_read_whom_an_alert_is_about_not_where_it_is_kept(account, subject, said):
    assert about(account, subject) == said
