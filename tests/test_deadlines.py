import asyncio
import time

import pytest

from monitor.deadlines import TICK, Deadlines


async def test_what_is_done_in_time_is_left_alone():
    deadlines = Deadlines()

    with deadlines.within(0.05):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)

    assert not asyncio.current_task().cancelling()


@pytest.mark.parametrize("seconds", [0, 0.001, 0.03])
async def test_what_takes_longer_is_given_up_late_perhaps_but_never_early(seconds):
    deadlines = Deadlines()
    for _ in range(5):
        await asyncio.sleep(TICK / 3)
        begun = time.monotonic()

        with pytest.raises(TimeoutError), deadlines.within(seconds):
            await asyncio.Event().wait()

        assert time.monotonic() - begun >= seconds
    assert not asyncio.current_task().cancelling()


async def test_each_has_its_own_limit():
    deadlines, ended = Deadlines(), []

    async def wait(name, seconds):
        with pytest.raises(TimeoutError), deadlines.within(seconds):
            await asyncio.Event().wait()
        ended.append(name)

    await asyncio.gather(wait("long", 0.1), wait("short", 0.02), wait("middle", 0.06))

    assert ended == ["short", "middle", "long"]


async def test_a_limit_within_a_limit_ends_alone():
    deadlines = Deadlines()

    with deadlines.within(10):
        with pytest.raises(TimeoutError), deadlines.within(0.01):
            await asyncio.Event().wait()
        await asyncio.sleep(0)


async def test_a_limit_can_be_extended():
    deadlines, begun = Deadlines(), time.monotonic()

    async def work():
        with deadlines.within(0.03) as limit:
            limit.extend(0.05)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()

    assert time.monotonic() - begun >= 0.08


async def test_a_cancellation_from_elsewhere_stays_one():
    deadlines = Deadlines()

    async def work():
        with deadlines.within(10):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_elsewhere_at_the_same_moment_goes_before_the_time_limit():
    deadlines = Deadlines()

    async def work():
        with deadlines.within(0.02):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asyncio.current_task().cancel()
                raise

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())


async def test_nothing_ticks_while_there_is_nothing_to_limit():
    deadlines = Deadlines()
    with deadlines.within(1):
        await asyncio.sleep(3 * TICK)
    await asyncio.sleep(3 * TICK)
    ticks = deadlines._ticks

    await asyncio.sleep(5 * TICK)

    assert ticks > 0
    assert deadlines._ticks == ticks
