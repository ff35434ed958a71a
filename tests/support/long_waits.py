"""Coroutines that wait for long, each in another way that asyncio has."""

from __future__ import annotations

import asyncio


async def in_timeout() -> None:
    async with asyncio.timeout(50):
        await asyncio.sleep(60)


async def in_gather() -> None:
    await asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))


async def in_group_child() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(60))
        group.create_task(asyncio.sleep(60))


async def in_group_body() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(60))
        await asyncio.sleep(60)


async def in_wait_for() -> None:
    await asyncio.wait_for(asyncio.sleep(60), 50)
