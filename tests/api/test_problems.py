"""The names of problems: callers switch on them."""

import ast
import re
from pathlib import Path

import pytest

from monitor.api.problems import PROBLEMS
from tests.api.test_guard_answers import CELLS

SOURCE = "".join(path.read_text("utf-8") for path in Path("monitor").rglob("*.py"))
#: Tests that go through all problems, or through whatever there is, and claim of none that it is reached.
GENERAL = {"test_openapi.py", "test_scopes.py", "test_problems.py", "test_fuzz.py"}


def asking():
    """The tests that ask over HTTP, as text."""
    for path in (*Path("tests/api").glob("test_*.py"), *Path("tests/e2e").glob("test_*.py")):
        lines = path.read_text("utf-8").splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_") and path.name not in GENERAL:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                yield "\n".join(lines[first - 1 : node.end_lineno])


#: What those tests name; and the cells of the README's table of states, which are tests each.
REACHED = {name for text in asking() for name in re.findall(r'"([a-z-]+)"', text)} | {
    name for cell in CELLS for name in re.findall(r"`([a-z-]+)`", cell.values[2])
}


def test_every_problem_that_is_raised_by_name_is_known():
    raised = set(re.findall(r'(?:Problem|later)\(\s*"([a-z-]+)"', SOURCE))

    assert len(raised) > 15
    assert raised <= set(PROBLEMS)


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_is_reached_by_a_test_that_asks_over_http(name):
    assert name in REACHED
