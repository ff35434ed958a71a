"""Names of asyncio tasks: a child task of an execution carries the name of the Celery task it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from pico_celery.worker.current import current_execution


def named_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    """Create an asyncio task; the loop's task factory.

    Args:
        loop: The loop.
        coroutine: What the task runs.
        **options: Those of `asyncio.Task`.

    Returns:
        The task, named after the execution that creates it unless it has a name.
    """
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    execution = current_execution()
    if execution is not None:
        task.set_name(f"{execution.label} {task.get_name()}")
    return task
