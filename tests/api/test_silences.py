import json

import pytest

from monitor.api.auth import Token
from monitor.engine.silence_words import FiledSilence, filed

SAID = {"match": {"account": "hedge"}, "duration": "2h", "author": "maria", "comment": "key rotation"}
FILED = filed(
    [
        FiledSilence.model_validate(
            {"match": {"account": "hot"}, "ends_at": "2026-12-01T06:00:00Z", "author": "joe", "comment": "x"}
        )
    ]
)


async def post(client, said=SAID, **headers):
    async with client.post("/v1/silences", data=json.dumps(said), headers=headers) as answer:
        return answer.status, await answer.json()


async def listed(client, query=""):
    async with client.get(f"/v1/silences{query}") as answer:
        return [item["id"] for item in (await answer.json())["items"]]


async def delete(client, name):
    async with client.delete(f"/v1/silences/{name}") as answer:
        return answer.status, await answer.json()


async def test_a_silence_is_made_and_ended(context, start):
    client, _ = await start(context(silences=FILED))

    status, made = await post(client)
    assert (status, made["state"], made["ends_at"]) == (201, "active", "2026-11-20T14:00:48.000Z")
    assert await listed(client) == [FILED[0].id, made["id"]]
    assert await listed(client, "?state=expired") == []
    status, ended = await delete(client, made["id"])
    assert (status, ended["state"]) == (200, "expired")
    assert await listed(client, "?state=expired") == [made["id"]]


async def test_what_no_alert_has_is_said_and_it_is_made_all_the_same(context, start):
    def odd(match):
        return [f"no alert has the label {label!r}" for label in match if label != "account"]

    client, _ = await start(context(odd=odd))

    assert (await post(client))[1]["warnings"] == []
    status, made = await post(client, {**SAID, "match": {"acount": "hedge"}})
    assert (status, made["warnings"]) == (201, ["no alert has the label 'acount'"])
    assert len(await listed(client)) == 2


async def test_one_of_the_configuration_is_ended_there(context, start):
    client, _ = await start(context(silences=FILED))

    assert [(await delete(client, name))[1]["type"] for name in (FILED[0].id, "sil_x")] == [
        "silence-configured",
        "silence-unknown",
    ]


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"author": ""}, "author: "),
        ({"comment": None}, "comment: "),
        ({"duration": None}, "needs either `ends_at` or `duration`"),
        ({"duration": 5}, "duration: '5' is not a duration, write 5s"),
        ({"unless": {"measure": "equity", "below": 0.5}}, "unless.below: "),
        ({"match": {"account!": "hedge"}}, "match: 'account!': no alert has such a label"),
        ({"match": {"account=": "hedge"}}, "match: 'account=': no alert has such a label"),
        ({"match": {"": "hedge"}}, "match: '': no alert has such a label"),
        ({"matcher": {}}, "unknown key 'matcher', did you mean 'match'?"),
    ],
)
async def test_what_is_not_sound_is_refused(context, start, changes, detail):
    client, _ = await start(context())

    status, problem = await post(client, {**SAID, **changes})

    assert (status, problem["type"]) == (400, "invalid-request")
    assert detail in problem["detail"]


@pytest.mark.parametrize("path", ["/v1/silences", "/v1/alerts/alr_1/ack"])
@pytest.mark.parametrize("body", [b'{"match":' + b"[" * 20_000, b'{"comment":"\xff"}'])
async def test_endless_brackets_and_what_is_no_utf_8_are_no_json(context, start, path, body):
    client, _ = await start(context())

    async with client.post(path, data=body) as answer:
        assert (answer.status, (await answer.json())["type"]) == (400, "invalid-request")


async def test_too_many_are_refused(context, start, store):
    store.full = True
    client, _ = await start(context())

    assert (await post(client))[1]["type"] == "silences-full"


async def test_only_an_admin_silences(context, start):
    reader, admin = Token.of("r", "reads-only", ("read",)), Token.of("a", "may-do-all", ("admin",))
    client, _ = await start(context(tokens=(reader, admin)))

    assert (await post(client, Authorization="Bearer reads-only"))[0] == 403
    assert (await post(client, Authorization="Bearer may-do-all"))[0] == 201
