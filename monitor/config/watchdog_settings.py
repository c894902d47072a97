"""What a configuration says of whoever watches the monitor: `heartbeats` and `connectivity`."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from monitor.channels.base import SecretUrl, insecure
from monitor.config.mistakes import Finding
from monitor.egress import Egress, host_and_port, is_address
from monitor.fields import Duration, Section

#: More often than this is no heartbeat but a load.
BEAT_MIN = timedelta(seconds=1)


class Heartbeat(Section):
    """`{url: {env: HC_PING}, every: 1m}`: a dead man's switch, pinged only while everything works."""

    url: SecretUrl
    every: Duration = Field(default=timedelta(minutes=1), ge=BEAT_MIN, description="one ping each, at least 1s")


def _target(value: object) -> str:
    text = value if isinstance(value, str) else ""
    found = host_and_port(text)
    if found is None or found[1] == 0 or not text.isprintable() or " " in text:
        raise ValueError(f"{str(value)[:60]!r} is not a host and a port, write it like 1.1.1.1:53")
    return text


Target = Annotated[str, BeforeValidator(_target), WithJsonSchema({"type": "string", "examples": ["1.1.1.1:53"]})]


def _few(targets: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(targets))


class Connectivity(Section):
    """`connectivity: {targets: ["1.1.1.1:53"]}`: whom to ask whether it is we who are offline."""

    targets: Annotated[tuple[Target, ...], AfterValidator(_few)] = Field(
        min_length=1, max_length=10, description="host:port that take TCP connections and have nothing to do with us"
    )


def address(target: str) -> tuple[str, int]:
    """Host and port of a target."""
    found = host_and_port(target)
    assert found is not None, "a target was validated"
    return found


def mistakes(connectivity: Connectivity | None, egress: Egress) -> Iterator[Finding]:
    """What is wrong with the targets in this configuration: (path, sentence)."""
    for index, target in enumerate(connectivity.targets if connectivity else ()):
        host, _ = address(target)
        if is_address(host) and not egress.permits(host):
            yield ("connectivity", "targets", index), "egress forbids this address, so it would never answer"


def doubts(heartbeats: Sequence[Heartbeat]) -> Iterator[Finding]:
    """What `check` should tell of heartbeats although they work."""
    for index, beat in enumerate(heartbeats):
        if insecure(beat.url.get_secret_value()):
            yield ("heartbeats", index, "url"), "it is http: everybody on the way can read and forge it, use https"
