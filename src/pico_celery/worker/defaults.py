"""Choose the defaults of a worker of asynchronous tasks: which pool, how many tasks at once."""

from __future__ import annotations

import logging
from typing import Any, Final

import click
from billiard import cpu_count
from celery import Celery, signals
from click.core import ParameterSource

from pico_celery.celery_port import Worker, worker_of
from pico_celery.errors import ExecutionError
from pico_celery.worker.contract_task import ContractTask
from pico_celery.worker.engine_options import DEFAULT_CONCURRENCY, DEFAULT_PREFETCH_MULTIPLIER

POOL: Final = "pico_celery.worker.pool:TaskPool"
_CELERYS_PREFETCH_MULTIPLIER: Final = 4
_logger = logging.getLogger(__name__)


class _Default(int):
    """A number that the library chose for its own pool: another pool takes Celery's default instead."""

    __slots__ = ()


def set_worker_defaults(app: Celery) -> None:
    """Choose pool, concurrency and prefetch multiplier of an application's workers, where its user has chosen none."""
    conf: Any = app.conf
    defaults: dict[str, object] = {
        "worker_pool": POOL,
        "worker_concurrency": _Default(DEFAULT_CONCURRENCY),
        "worker_prefetch_multiplier": _Default(DEFAULT_PREFETCH_MULTIPLIER),
    }
    for name, value in defaults.items():
        if not conf.value_set_for(name):
            setattr(conf, name, value)
    signals.worker_init.connect(_adapt_to_pool, weak=False, dispatch_uid="pico-celery-defaults")


def _adapt_to_pool(sender: object, **_: object) -> None:
    """Adapt a worker that starts to the pool that its command line chose."""
    try:
        worker = worker_of(sender)
    except ExecutionError as error:  # Celery would log an exception of a signal's receiver, and start the worker
        raise SystemExit(str(error)) from error
    tasks = [task for task in worker.app.tasks.values() if isinstance(task, ContractTask)]
    if not tasks:
        return
    name = worker.pool_cls if isinstance(worker.pool_cls, str) else worker.pool_cls.__module__
    if name.startswith("pico_celery."):
        _keep_quality_of_service(worker.app)
        return
    if name.rpartition(".")[2] in {"gevent", "eventlet"}:
        raise SystemExit(
            f"-P {name.rpartition('.')[2]} cannot run async def tasks: it replaces the threads that an event loop needs. "
            "Leave -P out (thousands of tasks in flight on one event loop), or take threads, solo or processes"
        )
    if isinstance(worker.concurrency, _Default):
        worker.concurrency = cpu_count()
    # Celery makes a plain int of it, which does not show where it came from.
    if isinstance(worker.app.conf.worker_prefetch_multiplier, _Default) and not _on_command_line("prefetch_multiplier"):
        worker.prefetch_multiplier = _CELERYS_PREFETCH_MULTIPLIER
    if name.rpartition(".")[2] in {"thread", "threads", "solo"}:
        _warn_of_limits(worker, tasks, name)


def _keep_quality_of_service(app: Celery) -> None:
    """Switch off what Celery does with the broker's channel, after a reconnect, on the thread of each acknowledgement.

    Source: https://docs.celeryq.dev/en/stable/userguide/configuration.html#worker-enable-prefetch-count-reduction
    """
    conf: Any = app.conf
    if not conf.value_set_for("worker_enable_prefetch_count_reduction"):
        conf.worker_enable_prefetch_count_reduction = False
    elif conf.worker_enable_prefetch_count_reduction:
        _logger.warning(
            "worker_enable_prefetch_count_reduction is on: over AMQP it may hang a worker that runs tasks on threads, after a "
            "reconnect. Leave it out, or take -P processes"
        )


def _on_command_line(name: str) -> bool:
    context = click.get_current_context(silent=True)
    source = None if context is None else context.get_parameter_source(name)
    return source in {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}


def _warn_of_limits(worker: Worker, tasks: list[ContractTask], pool: str) -> None:
    limited = sorted(task.name for task in tasks if task.time_limit or task.soft_time_limit)
    if limited or worker.time_limit or worker.soft_time_limit:
        _logger.warning(
            "the pool %s enforces no time limits, and revoke(terminate=True) does nothing there; limited are: %s. "
            "Leave -P out, or take -P processes",
            pool.rpartition(".")[2],
            ", ".join(limited) if limited else "all tasks of this worker",
        )
