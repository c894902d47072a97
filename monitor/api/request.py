"""A request as endpoints see it."""

from collections.abc import Mapping

from aiohttp import web
from multidict import CIMultiDictProxy, MultiMapping

from monitor.api.auth import Token
from monitor.api.problems import invalid, too_large

BODY_MAX = 64 * 1024


#: Whoever asks where no tokens are configured.
LOCAL = "local"


class Request:
    """What was asked. `match_info` has what stands in the path where its route has `{name}`, decoded.

    `token` is who asks; None where everybody may, or where no tokens are configured. `decision` is the id of what the
    guard decides of it, once there is one.
    """

    __slots__ = ("_body", "_request", "decision", "headers", "match_info", "method", "token")

    def __init__(self, request: web.BaseRequest, match_info: Mapping[str, str], token: Token | None) -> None:
        self._request = request
        self._body: bytes | None = None
        self.match_info = match_info
        self.token = token
        self.decision = ""
        self.method = request.method
        self.headers: CIMultiDictProxy[str] = request.headers

    @property
    def caller(self) -> str:
        """Who asks, by name: hold ids are kept apart by it."""
        return LOCAL if self.token is None else self.token.name

    @property
    def sees_all(self) -> bool:
        """Whether the one who asks may see what other callers hold."""
        return self.token is None or self.token.may(())

    @property
    def raw_path(self) -> str:
        """Path and query as they were sent."""
        return self._request.raw_path

    @property
    def query(self) -> MultiMapping[str]:
        """The query's parameters, decoded."""
        return self._request.query

    async def read(self) -> bytes:
        """The whole body, at most BODY_MAX bytes of it, else the Problem `request-too-large`; or that it broke off."""
        if self._body is None:
            content = self._request.content
            # A small one has come together with its head: nothing is waited for.
            self._body = content.read_nowait() if content.is_eof() else await self._arriving()
            if len(self._body) > BODY_MAX:
                raise too_large()
        return self._body

    async def _arriving(self) -> bytes:
        self._invite()
        body = bytearray()
        try:
            async for chunk in self._request.content.iter_any():
                body += chunk
                if len(body) > BODY_MAX:
                    break
        except (OSError, web.RequestPayloadError):
            raise invalid("the body broke off") from None
        return bytes(body)

    def _invite(self) -> None:
        """Some callers send a large body only when they are told that it will be read (RFC 9110, section 10.1.1)."""
        expects = self.headers.get("Expect", "").lower() == "100-continue"
        if expects and self._request.version >= (1, 1) and self._request.transport is not None:
            self._request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
