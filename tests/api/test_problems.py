"""The names of problems: callers switch on them."""

import re
from pathlib import Path

from monitor.api.problems import PROBLEMS

SOURCE = "".join(path.read_text("utf-8") for path in Path("monitor").rglob("*.py"))


def test_every_problem_that_is_raised_by_name_is_known():
    raised = set(re.findall(r'(?:Problem|later)\(\s*"([a-z-]+)"', SOURCE))

    assert len(raised) > 15
    assert raised <= set(PROBLEMS)
