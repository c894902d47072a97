"""One timer for many limits: to the instant, and nobody else's cancellation is swallowed."""

import asyncio

import pytest

from monitor.engine.patience import Patience
from tests.fakes import virtual_time


async def over(patience: Patience, start: float, length: float) -> tuple[str, float]:
    """How a body of this length fared, begun at this time, and when it ended."""
    await asyncio.sleep(start)
    try:
        with patience.wait():
            await asyncio.sleep(length)
        fared = "done"
    except TimeoutError:
        fared = "overdue"
    return fared, asyncio.get_running_loop().time()


@virtual_time
async def test_each_of_many_is_cut_short_at_its_own_instant_and_no_other():
    patience = Patience(10)

    fared = await asyncio.gather(
        over(patience, 0, 3), over(patience, 1, 99), over(patience, 1, 9), over(patience, 4, 99), over(patience, 30, 99)
    )

    assert fared == [("done", 3), ("overdue", 11), ("done", 10), ("overdue", 14), ("overdue", 40)]


@virtual_time
async def test_a_cancellation_from_outside_stays_one():
    task = asyncio.create_task(over(Patience(10), 0, 99))
    await asyncio.sleep(5)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@virtual_time
async def test_a_cancellation_at_the_very_instant_of_the_limit_is_not_swallowed():
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(over(Patience(10), 0, 99))
    loop.call_at(10, task.cancel)
    await asyncio.sleep(10)

    with pytest.raises(asyncio.CancelledError):
        await task


@virtual_time
async def test_a_limit_within_a_limit_ends_only_what_it_bounds():
    outer, inner = Patience(10), Patience(3)

    async def both() -> None:
        with outer.wait():
            assert await over(inner, 0, 99) == ("overdue", 3)
            await asyncio.sleep(99)

    with pytest.raises(TimeoutError):
        await both()

    assert asyncio.get_running_loop().time() == 10
    assert not asyncio.current_task().cancelling()


@virtual_time
async def test_what_the_body_raises_is_what_comes_out():
    with pytest.raises(ZeroDivisionError), Patience(10).wait():
        raise ZeroDivisionError
