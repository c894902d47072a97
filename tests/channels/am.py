"""A real Alertmanager on loopback, where the machine has one."""

import asyncio
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.ports import free_port

BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
_CONFIG = """
global: {{resolve_timeout: {resolve_timeout}}}
route: {{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: hook, webhook_configs: [{{url: '{hook}', send_resolved: true}}]}}]
"""


@dataclass
class Alertmanager:
    """One instance; `hook` is where it posts its notifications."""

    folder: Path
    hook: str
    resolve_timeout: str = "5m"
    url: str = ""
    process: subprocess.Popen | None = None

    async def start(self) -> None:
        config = self.folder / "alertmanager.yml"
        config.write_text(_CONFIG.format(hook=self.hook, resolve_timeout=self.resolve_timeout))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [BINARY, f"--config.file={config}", f"--storage.path={self.folder / 'data'}", "--cluster.listen-address=",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        await until(self.ready)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def ready(self) -> bool:
        assert self.process.poll() is None, "Alertmanager did not start"
        try:
            return (await self._get("/-/ready"))[0] == 200
        except aiohttp.ClientError:
            return False

    async def alerts(self) -> dict[str, dict]:
        """What fires there now, by its fingerprint."""
        status, body = await self._get("/api/v2/alerts")
        assert status == 200, body
        return {one["fingerprint"]: one for one in json.loads(body)}

    async def _get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await answer.text()


async def until(true, most: float = 20.0):
    """Wait until this is so; what it says then."""
    async with asyncio.timeout(most):
        while not (found := await true()):
            await asyncio.sleep(0.02)
    return found
