"""What is said of channels that a drill does not reach."""

import pytest

from monitor.commands.drill_quiet import quiet_text
from monitor.model.group import Hush
from tests.builders import NOON, minutes

SILENCED = Hush("silenced", NOON, NOON + minutes(120), "maria", "moving")


@pytest.mark.parametrize(
    ("channels", "begins"), [(["ops"], "ops is not told: "), (["ops", "chat"], "ops, chat are not told: ")]
)
def test_all_that_one_reason_keeps_quiet_stand_on_one_line(channels, begins):
    said = "silenced since 2026-11-20T12:00:00Z by maria: moving (until 2026-11-20T14:00:00Z)"

    assert quiet_text(channels, SILENCED) == begins + said
