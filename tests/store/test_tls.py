"""A store behind TLS: the certificate must be vouched for. The bundled server speaks none, so a relay does it here."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from monitor.errors import StoreUnavailable
from monitor.store.redis import RedisStore

#: Vouches for 0x7f.1, which every resolver takes for 127.0.0.1.
PEM = Path(__file__).parents[1] / "channels" / "loopback.pem"


@asynccontextmanager
async def relayed(port):
    """A port that speaks TLS and passes everything on to another one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    pumps = set()

    async def pump(reader, writer):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
        writer.close()

    async def passed_on(reader, writer):
        pumps.add(asyncio.current_task())
        theirs, to_them = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, to_them), pump(theirs, writer), return_exceptions=True)

    server = await asyncio.start_server(passed_on, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.gather(*pumps, return_exceptions=True)


async def test_a_store_is_used_through_tls(valkey_tcp, monkeypatch, connect):
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    async with relayed(valkey_tcp.port) as port:
        store = await connect(f"rediss://0x7f.1:{port}")

        assert await store._guard_calls.command("ECHO", "hello") == b"hello"
        await store.ping()
        await store.close()


async def test_a_certificate_that_nobody_vouches_for_is_refused(valkey_tcp):
    async with relayed(valkey_tcp.port) as port:
        with pytest.raises(StoreUnavailable, match="TLS failed, certificate verify failed"):
            await RedisStore.connect(f"rediss://0x7f.1:{port}")
