import asyncio
import time

import pytest

from monitor.deadlines import TICK, Deadlines


async def test_what_is_done_in_time_is_left_alone():
    deadlines = Deadlines()

    with deadlines.within(0.5):
        await asyncio.sleep(0)
    await asyncio.sleep(0.6)

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


async def test_a_limit_by_the_clock_of_the_loop_ends_when_a_timer_of_it_would():
    loop = asyncio.get_running_loop()
    begun = loop.time()

    with pytest.raises(TimeoutError), Deadlines.of_the_loop().within(0.03):
        await asyncio.Event().wait()

    assert loop.time() - begun >= 0.03


async def test_each_has_its_own_limit():
    times, ended = [0], []
    deadlines = Deadlines(lambda: times[-1])

    async def wait(name, seconds):
        with pytest.raises(TimeoutError), deadlines.within(seconds):
            await asyncio.Event().wait()
        ended.append(name)
        times.append(times[-1] + 4)

    async with asyncio.timeout(30), asyncio.TaskGroup() as waiting:
        for name, seconds in (("long", 10), ("short", 2), ("middle", 6)):
            waiting.create_task(wait(name, seconds))
        await asyncio.sleep(3 * TICK)
        assert ended == []
        times.append(2)

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


async def stand_still(seconds, then):
    """Like a process that is stopped for a while."""
    time.sleep(seconds)
    await then


async def test_while_everything_stands_still_the_time_goes_on():
    with pytest.raises(TimeoutError), Deadlines().within(0.2):
        await stand_still(0.3, asyncio.sleep(0.05))


async def test_what_is_there_just_after_a_standstill_is_too_late_all_the_same():
    answer = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(answer.set_result, None)

    with pytest.raises(TimeoutError), Deadlines().within(0.05):
        await stand_still(0.1, answer)
    assert not asyncio.current_task().cancelling()


async def test_what_fails_too_late_has_failed():
    with pytest.raises(ZeroDivisionError), Deadlines().within(0):
        _ = 1 / 0


async def test_a_busy_loop_makes_no_limit_longer():
    deadlines, begun = Deadlines(), time.monotonic()

    async def busy():
        while True:
            time.sleep(0.05)  # as a loop that has much to do
            await asyncio.sleep(0)

    others = asyncio.create_task(busy())
    with pytest.raises(TimeoutError), deadlines.within(0.3):
        await asyncio.Event().wait()
    others.cancel()

    # A limit in ticks would last for a second and a half.
    assert time.monotonic() - begun < 1


async def test_nothing_ticks_while_there_is_nothing_to_limit():
    looks = []
    deadlines = Deadlines(lambda: looks.append(1) or time.monotonic())
    with deadlines.within(30):
        while len(looks) < 3:
            await asyncio.sleep(TICK)
    await asyncio.sleep(3 * TICK)
    looks.clear()

    await asyncio.sleep(5 * TICK)

    assert looks == []
