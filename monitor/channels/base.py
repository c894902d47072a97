"""What every channel shares: its settings, and the door to the network."""

from abc import abstractmethod
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from monitor.channels.http import Http
from monitor.engine.ports import Channel
from monitor.fields import Duration, RateLimit


class ChannelSettings(BaseModel):
    """What every channel may say. A subclass adds `type`, where it sends, and its secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    #: The destination's own rate, used when `rate_limit` is not set; None for no limit.
    RATE: ClassVar[RateLimit | None] = None

    send_resolved: bool = True
    rate_limit: RateLimit | None = None
    timeout: Duration | None = Field(default=None, description="longest time of one attempt; default 10s, at most 20s")
    redact: tuple[Literal["amounts"], ...] = ()

    @abstractmethod
    def connect(self, http: Http) -> Channel:
        """The adapter."""
