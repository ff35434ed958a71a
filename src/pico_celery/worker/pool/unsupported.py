"""What a worker says at its start about what it cannot do."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from celery import Celery

from pico_celery.worker.contract_task import ContractTask
from pico_celery.worker.pool.tracers import HAS_GREENLET

_OF_CHILDREN: Final = {"maxtasksperchild": "max_tasks_per_child", "max_memory_per_child": "max_memory_per_child"}
_logger = logging.getLogger(__name__)


def log_unsupported(app: Celery | None, options: Mapping[str, Any]) -> None:
    """Warn of settings that this pool cannot follow."""
    for option, setting in _OF_CHILDREN.items():
        if options.get(option):
            _logger.warning(
                "%s=%s is not followed: the pool has no child processes. Restart the worker from outside, or take "
                "-P processes",
                setting,
                options[option],
            )
    if not HAS_GREENLET:
        _logger.warning("greenlet is not installed: every task in flight takes a thread of its own")
    if app is not None:
        _warn_of_sync_limits(app, options)


def _warn_of_sync_limits(app: Celery, options: Mapping[str, Any]) -> None:
    own = {
        name
        for name, task in app.tasks.items()
        if not isinstance(task, ContractTask) and not name.startswith("celery.")
    }
    everywhere = options.get("timeout") or options.get("soft_timeout")
    limited = {name for name in own if everywhere or app.tasks[name].time_limit or app.tasks[name].soft_time_limit}
    if own:
        _logger.info(
            "%d synchronous tasks run on threads of this process; -P processes runs them in child processes", len(own)
        )
    if limited:
        _logger.warning(
            "time limits of synchronous tasks are not enforced, for they run on threads: %s. Make them async def tasks of "
            "a contract, or serve them by a worker with -P processes",
            ", ".join(sorted(limited)),
        )
