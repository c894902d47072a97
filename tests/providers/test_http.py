"""One door to the network: whatever answers, it is a reply or a typed error, bounded, and nothing leaks."""


async def test_a_reply_arrives_with_its_status_and_headers(http, server, purse):
    server.say({"ok": 1}, status=201, X_Left="7")

    reply = await http.get("/v1/x", budget=purse, params={"a": "1"})

    assert (reply.status, reply.body, reply.headers["x-left"]) == (201, b'{"ok": 1}', "7")
    assert (server.asked[0].method, server.asked[0].path, server.asked[0].query) == (
        "GET",
        "/v1/x",
        {"a": "1"},
    )
    assert purse.spent == [1]
