"""Every endpoint is asked what its OpenAPI document allows, and what it does not: by the real daemon on a real socket.

`FUZZ_SECONDS=300 pytest tests/e2e/test_fuzz.py -n 0` asks for longer.
"""

import asyncio
import contextlib
import os
import time

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.api.conformance import DOCUMENT, check

SECONDS = float(os.environ.get("FUZZ_SECONDS", "15"))
TOKEN = "fuzz-token-5d11"
#: Names that exist, or may by then: so that what is asked for is found as often as not.
NAMES = {
    "id": ["hot", "nobody", "player-7"],
    "account": ["hot", "player-7"],
    "asset": ["USDT", "USDT@ETH"],
    "source": ["aml"],
    "provider": ["bank"],
    "hold_id": [f"bet-{number}" for number in range(6)],
}

load_all_checks()
JUDGES = [CHECKS.get_one(name) for name in (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance",
)]  # fmt: skip


def tasks():
    """(path, method, mode): what takes nothing cannot be asked wrongly."""
    for path, methods in DOCUMENT["paths"].items():
        for method, said in methods.items():
            yield path, method, GenerationMode.POSITIVE
            if said.get("parameters") or said.get("requestBody"):
                yield path, method, GenerationMode.NEGATIVE


TASKS = list(tasks())


def schema():
    return schemathesis.openapi.from_dict(DOCUMENT)


def cases(operation, mode):
    """Cases of an operation, the names in their paths often those of things there are."""
    drawn = operation.as_strategy(generation_mode=mode)
    picks = st.fixed_dictionaries({name: st.one_of(st.none(), st.sampled_from(known)) for name, known in NAMES.items()})

    def named(case, pick):
        for name in case.path_parameters:
            if pick.get(name):
                case.path_parameters[name] = pick[name]
        return case

    return st.builds(named, drawn, picks)


class Enough(BaseException):
    """The time is over. Not an Exception, so that Hypothesis takes it for no finding."""


def ask(base, operation, mode, seconds):
    """As many cases as there is time for; how many there were."""
    until, asked = time.monotonic() + seconds, 0

    # What takes nothing is always asked the same.
    most = 100_000 if list(operation.iter_parameters()) or list(operation.body) else 1

    @settings(max_examples=most, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=cases(operation, mode))
    def each(case):
        nonlocal asked
        if asked and time.monotonic() > until:
            raise Enough
        asked += 1
        answer = case.call(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"})
        case.validate_response(answer, checks=JUDGES)
        media = answer.headers["content-type"][0].partition(";")[0]
        check(operation.method.upper(), case.formatted_path, answer.status_code, media, answer.content)

    # A path that is any text cannot be wrong.
    impossible = (Unsatisfiable,) if mode is GenerationMode.NEGATIVE else ()
    with contextlib.suppress(Enough, *impossible):
        each()
    return asked


async def test_no_request_makes_the_api_fail_or_answer_otherwise_than_its_document_says(place):
    place.write()
    config = place.path / "config.yaml"
    tokens = f"tokens: [{{name: fuzz, token: {TOKEN}, scopes: [admin]}}]"
    config.write_text(config.read_text().replace(f':{place.port}"}}', f':{place.port}", {tokens}}}'))
    await place.start()
    base, operations = f"http://127.0.0.1:{place.port}", schema()

    def work():
        each = SECONDS / len(TASKS)
        return {
            f"{method} {path} {mode.name}": ask(base, operations[path][method], mode, each)
            for path, method, mode in TASKS
        }

    asked = await asyncio.to_thread(work)

    # What every name stands for was found, and asked wrongly where it can be.
    assert [task for task, count in asked.items() if not count and "POSITIVE" in task] == []
    assert sum(count for task, count in asked.items() if "NEGATIVE" in task) > len(TASKS)
