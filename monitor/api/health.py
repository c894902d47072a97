"""`/healthz`, `/readyz`, `/metrics`: for the machines that watch this one."""

from monitor.api import query
from monitor.api.context import ApiContext
from monitor.api.problems import Problem
from monitor.api.replies import Answer, answer, document
from monitor.api.request import Request
from monitor.redact import redact


async def alive(_api: ApiContext, _request: Request) -> Answer:
    """The event loop answers; nothing else is asked."""
    return answer({"status": "ok"})


async def ready(api: ApiContext, _request: Request) -> Answer:
    """Store writable, scheduler alive, lag bounded: 200, else 503 with what is wrong."""
    checks = await api.readiness()
    listed = [{"name": check.name, "ok": check.ok, "detail": redact(check.detail)} for check in checks]
    failed = [check.name for check in checks if not check.ok]
    if failed:
        raise Problem("not-ready", f"not ready: {', '.join(failed)}", checks=listed)
    return answer({"status": "ready", "checks": listed})


async def metrics(api: ApiContext, request: Request) -> Answer:
    """The Prometheus page."""
    query.read(request)
    body, content_type = api.metrics.expose(request.headers.get("Accept", ""))
    return document(body, content_type)
