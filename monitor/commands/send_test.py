"""`send-test CHANNEL`: whether a message arrives there."""

import asyncio
import sys
from pathlib import Path

from monitor.channels.http import Http as ChannelHttp
from monitor.channels.http import new_session as new_channel_session
from monitor.clock import wall_clock
from monitor.commands.beside import FAILED, OK, known, load_config, open_store
from monitor.config import Config
from monitor.engine.deliver import SEND_TIMEOUT, Destination, attempt, test_message
from monitor.errors import DeliveryError, StoreUnavailable, StoreUnusable
from monitor.model.group import Receipt
from monitor.redact import redact


def send_test_message(path: Path, name: str) -> int:
    """Send a test message to one channel; when it arrives, a pause of that channel ends."""
    config = load_config(path)
    known(config.channels, name, "channel")
    try:
        answer = asyncio.run(_send_test(config, name)).answer
    except DeliveryError as error:
        print(redact(f"{name}: not delivered: {error}"), file=sys.stderr)
        return FAILED
    print(redact(f"{name}: delivered" + (f", it answered {answer!r}" if answer else "")))
    return OK


async def _send_test(config: Config, name: str) -> Receipt:
    settings = config.channels[name]
    async with new_channel_session(config.egress) as session:
        destination = Destination(
            name, settings.connect(ChannelHttp(session, wall_clock)), timeout=settings.timeout or SEND_TIMEOUT
        )
        receipt = await attempt(destination, test_message(name, wall_clock()), wall_clock)
    try:
        async with open_store(config) as store:
            await store.try_now(name)
    except (StoreUnavailable, StoreUnusable) as error:
        # The message has arrived all the same.
        print(f"{name}: if the channel is paused, it stays so: {error}", file=sys.stderr)
    return receipt
