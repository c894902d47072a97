"""`paced.py URL RATE SECONDS`: a bare aiohttp GET at a steady rate; prints the CPU microseconds each one cost.

At 500 a second nothing is amortised: every request wakes the process several times. This says what that alone
costs on the machine of the run.
"""

import asyncio
import sys
import time

import aiohttp
import uvloop


async def get(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as reply:
        await reply.read()


async def main(url: str, rate: float, seconds: float) -> None:
    count = int(rate * seconds)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        await get(session, url)
        cpu, begun = time.process_time(), time.perf_counter()
        for number in range(count):
            await asyncio.sleep(begun + number / rate - time.perf_counter())
            group.create_task(get(session, url))
    print(round((time.process_time() - cpu) / count * 1e6))


uvloop.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
