"""What processes report of themselves."""

from collections.abc import Sequence
from datetime import datetime

from monitor.model.report import Report
from monitor.store import codec
from monitor.store.keys import REPORTS
from monitor.store.session import Session


class ReportingStore(Session):
    """Implements reports of the polling port."""

    async def report(self, reports: Sequence[Report]) -> None:
        """Say these conditions, or say again that they last."""
        if reports:
            fields = [part for report in reports for part in (_field(report), codec.dump(report))]
            await self._calls.command("HSET", REPORTS, *fields)

    async def withdraw(self, reports: Sequence[Report]) -> None:
        """These conditions are over."""
        if reports:
            await self._calls.command("HDEL", REPORTS, *map(_field, reports))

    async def reports(self, now: datetime) -> tuple[Report, ...]:
        """What all processes report; what nobody has renewed in time is forgotten."""
        stored = codec.flat(await self._calls.command("HGETALL", REPORTS))
        told: list[Report] = []
        old: list[str] = []
        for field, text in stored.items():
            try:
                report = codec.report(text)
            except codec.UNREADABLE:
                # Of a newer release, which removes it.
                continue
            if report.until <= now:
                old.append(field)
            else:
                told.append(report)
        if old:
            await self._calls.command("HDEL", REPORTS, *old)
        return tuple(told)


def _field(report: Report) -> str:
    return f"{report.name} {report.process} {report.about}"
