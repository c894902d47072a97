"""Every endpoint is asked what its OpenAPI document allows, and what it does not, in any order: by the real daemon on a
real socket, with its own store and guard.

`FUZZ_SECONDS=300 pytest tests/e2e/test_fuzz.py -n 0` asks for longer.
"""

import asyncio
import contextlib
import json
import os
import time
from collections import Counter
from datetime import UTC, datetime

import aiohttp
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from standardwebhooks import Webhook

from tests.api.conformance import DOCUMENT, check

SECONDS = float(os.environ.get("FUZZ_SECONDS", "15"))
TOKEN = "fuzz-token-5d11"
SWITCH = "/v1/guard/closed"
CALLBACK = "whsec_" + "ZnV6ei1jYWxsYmFjay1zZWNyZXQtMzBkMQ=="
#: Names of what there is, or may be by then: so that what is asked for is found as often as not.
NAMES = {
    "account": ["hot", "player-7"],
    "asset": ["USDT", "USDT@ETH"],
    "source": ["aml", "ops"],
    "provider": ["bank"],
    "hold_id": [f"bet-{number}" for number in range(4)],
    "accounts": ["hot", "player-7", "player-8"],
    "alerts": ["alr_1"],
    "deliveries": ["ntf_1"],
    "silences": ["sil_1"],
}
_BET = {"account": ["hot", "hot", "player-7"], "asset": ["USDT"], "amount": ["0.01", "1", "2.50", "30", "90"],
        "exposure": [None, None, "5", "60"], "context": [None, {"round": 7}]}  # fmt: skip
#: What is not refused: per path, the keys of a body with the values that they may have; None: without it.
BODIES = {
    "/v1/checks": {**_BET, "max_age": ["150s"], "on_stale": ["deny", "refresh"]},
    "/v1/holds/{hold_id}": {**_BET, "ttl": ["30s", "200ms"]},
    "/v1/holds/{hold_id}/commit": {"amount": ["0.01", "1", "2.5", "30.00"]},
    "/v1/accounts/{id}": {"provider": ["bank"], "wallet_id": ["guest", "visitor"], "expires_in": ["200ms", "1h"]},
    "/v1/silences": {"match": [{"rule": "Low"}], "duration": ["1s"], "author": ["maria"], "comment": ["rotation"]},
    "/v1/alerts/{id}/ack": {"author": ["maria"], "comment": ["on it"]},
    "/v1/guard/closed": {"comment": ["exercise"]},
    "/v1/callbacks/{provider}": {"account": ["hot", "player-7"]},
}
QUERIES = {"/v1/accounts/{id}/history": {"asset": ["USDT"], "measure": ["total", "available"]}}
#: What comes of that, in the order of the document.
EXPECTED = {
    ("POST", "/v1/checks", 200), ("PUT", "/v1/holds/{hold_id}", 201), ("POST", "/v1/holds/{hold_id}/commit", 200),
    ("POST", "/v1/holds/{hold_id}/settled", 200), ("POST", "/v1/holds/{hold_id}/release", 409),
    ("GET", "/v1/wallets/{account}/{asset}", 200), ("POST", "/v1/silences", 201), ("POST", "/v1/alerts/{id}/ack", 200),
    ("GET", "/v1/accounts/{id}/history", 200), ("PUT", "/v1/guard/closed", 200), ("PUT", "/v1/accounts/{id}", 201),
    ("POST", "/v1/callbacks/{provider}", 202),
}  # fmt: skip

load_all_checks()
#: Whether a 503 may be is judged by us.
JUDGES = [CHECKS.get_one(name) for name in (
    "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance",
)]  # fmt: skip


def tasks():
    """(path, method, mode): a path is any text, so that only a query or a body can be wrong."""
    for path, methods in DOCUMENT["paths"].items():
        for method, said in methods.items():
            yield path, method, GenerationMode.POSITIVE
            if "requestBody" in said or any(one["in"] == "query" for one in said.get("parameters", ())):
                yield path, method, GenerationMode.NEGATIVE


TASKS = list(tasks())
OPERATIONS = [(path, method) for path, method, mode in TASKS if mode is GenerationMode.POSITIVE]
OFTEN = [(path, method) for path, method in OPERATIONS if path.startswith(("/v1/holds", "/v1/wallets", "/v1/checks"))]


def picked(values):
    """Some of these keys, with one of their values each."""
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(known) for name, known in values.items()})


def sound(values):
    return st.fixed_dictionaries({name: st.sampled_from(known) for name, known in values.items()})


def cases(operation, mode):
    """Cases of an operation, their names often those of things there are, and their bodies often what is wanted."""
    path = operation.path
    body, query, often = BODIES.get(path, {}), QUERIES.get(path, {}), st.sampled_from((True, True, False))

    def known(case, names, body, query, is_known, is_sound, is_mixed):
        for name, before in zip(case.path_parameters, path.split("/")[2:], strict=False):
            found = names.get(before if name == "id" else name)
            if is_known and found:
                case.path_parameters[name] = found
        if mode is GenerationMode.POSITIVE and is_sound:
            body = {name: value for name, value in body.items() if value is not None}
            if body and isinstance(case.body, dict):
                case.body = {**case.body, **body} if is_mixed else body
            if query:
                case.query = query
        return case

    drawn = operation.as_strategy(generation_mode=mode)
    return st.builds(known, drawn, sound(NAMES), sound(body), sound(query), often, often, often)


class Enough(BaseException):
    """The time is over. Not an Exception, so that Hypothesis takes it for no finding."""


class Asking:
    """Whoever asks, and looks at every answer."""

    def __init__(self, port):
        self.base, self.session, self.seen = f"http://127.0.0.1:{port}", requests.Session(), Counter()
        schema = schemathesis.openapi.from_dict(DOCUMENT)
        self.drawn = {task: cases(schema[task[0]][task[1]], task[2]) for task in TASKS}

    def _headers(self, path, body):
        """Everybody's token, and a callback's own signature."""
        token = {"Authorization": f"Bearer {TOKEN}"}
        if not path.startswith("/v1/callbacks") or not isinstance(body, dict):
            return token
        now, text = datetime.now(UTC), json.dumps(body)
        signature = Webhook(CALLBACK).sign("msg_1", now, text)
        signed = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
        return token | signed

    def _judge(self, method, template, path, status, media, body):
        check(method, path, status, media.partition(";")[0], body)
        # A hold that may be over before its caller is told, or a busy machine: no decision, and no bug.
        late = status == 503 and b'"deadline-exceeded"' in body
        assert status < 500 or late, f"{method} {path} was answered {status} {body}"
        self.seen[method, template, status] += 1
        if (method, template, status) == ("POST", "/v1/silences", 201):
            NAMES["silences"].append(json.loads(body)["id"])
        if method == "PUT" and (template == SWITCH or "/locks/" in template):
            # Else little would be held any more.
            self.session.delete(self.base + path, headers=self._headers("", None), timeout=60)

    def ask(self, case):
        """What Schemathesis has thought of."""
        headers = self._headers(case.path, case.body)
        answer = case.call(base_url=self.base, session=self.session, headers=headers, timeout=60)
        case.validate_response(answer, checks=JUDGES)
        media = answer.headers["content-type"][0]
        self._judge(case.method, case.path, case.formatted_path, answer.status_code, media, answer.content)

    def play(self, random):
        """What is hardly ever refused, mostly about a few bets: so that states are met that nobody guesses."""
        # What has been refused stays so: other bets come as time goes by.
        NAMES["hold_id"] = [f"bet-{self.seen.total() // 20 + number}" for number in range(4)]
        self.do(*random.choice(OFTEN if random.random() < 0.7 else OPERATIONS), random.choice)

    def do(self, path, method, choose):
        """One request of this operation; `choose` picks its names and values."""
        parts = path.strip("/").split("/")
        names = {
            part: choose(NAMES[parts[1] if part == "{id}" else part.strip("{}")])
            for part in parts
            if part.startswith("{")
        }
        place = "/" + "/".join(names.get(part, part) for part in parts)
        values = BODIES.get(path, {}) if "requestBody" in DOCUMENT["paths"][path][method] else {}
        body = {name: value for name, known in values.items() if (value := choose(known)) is not None} or None
        query = {name: choose(known) for name, known in QUERIES.get(path, {}).items()}
        answer = self.session.request(
            method, self.base + place, params=query, headers=self._headers(path, body), timeout=60,
            data=None if body is None else json.dumps(body),
        )  # fmt: skip
        media = answer.headers["Content-Type"]
        self._judge(method.upper(), path, place, answer.status_code, media, answer.content)

    def work(self, seconds):
        """Every operation as it should be, then as much as there is time for."""
        for path, method in OPERATIONS:
            self.do(path, method, lambda known: known[0])
        self.do("/v1/accounts/{id}", "put", lambda known: known[-1])
        until = time.monotonic() + seconds

        @settings(max_examples=10**6, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(case=st.sampled_from(TASKS).flatmap(self.drawn.__getitem__), random=st.randoms(use_true_random=True))
        def each(case, random):
            if time.monotonic() > until:
                raise Enough
            self.ask(case)
            for _ in range(4):
                self.play(random)

        with contextlib.suppress(Enough):
            each()


async def alerts(port):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.request("GET", f"http://127.0.0.1:{port}/v1/alerts", headers=headers) as answer:
        # A bankroll that is not known yet is an alert of the monitor itself.
        return [alert for alert in (await answer.json())["items"] if alert["rule_type"] != "self"]


async def test_no_request_makes_the_api_fail_or_answer_otherwise_than_its_document_says(place, until):
    # Its provider answers from this process, which is busy thinking of requests.
    place.write(below=150, timeout="60s")
    config = place.path / "config.yaml"
    tokens = f"tokens: [{{name: fuzz, token: {TOKEN}, scopes: [admin]}}]"
    said = config.read_text().replace(f':{place.port}"}}', f':{place.port}", {tokens}}}')
    said = said.replace("    api: A\n", f"    api: A\n    callback_secret: {CALLBACK}\n")
    config.write_text(
        said + "guard: {deadline: 10s, bankroll: {account: hot, asset: USDT, close_below: 0, open_above: 0}}\n"
    )
    daemon = await place.start()

    asking = await asyncio.to_thread(Asking, place.port)
    [alert] = await until(lambda: alerts(place.port), "the account is read, and has an alert")
    NAMES["alerts"].insert(0, alert["id"])
    await asyncio.to_thread(asking.work, SECONDS)

    seen = asking.seen
    print(sum(seen.values()), *sorted(seen.items(), key=str), sep="\n")
    assert {(method.upper(), path) for path, method, _ in TASKS} - {asked[:2] for asked in seen} == set()
    assert EXPECTED - set(seen) == set()
    assert [line for line in daemon.said() if line.get("level") == "error"] == []
