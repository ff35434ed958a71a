"""The tasks of Celery's integration tests as coroutines, under the same names and with the same behaviour.

Imported in the suite's own process only, where Celery's ``t`` package can be imported. Four tasks stay as they are:
``replace_with_stamped_task`` and ``auto_retry_class_task`` have a class of their own, ``errback_new_style`` and
``errback_new_style_with_args`` are functions that Celery calls where a task failed, not tasks that it sends.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Signature, canvas, current_task
from celery.exceptions import Reject, SoftTimeLimitExceeded
from celery.states import SUCCESS
from pico_ioc import cleanup, component
from pydantic import BaseModel
from redis.asyncio import Redis

from pico_celery import TaskContext, task
from pico_celery.contract.marks import marks_of

original: Any = import_module("t.integration.tasks")
PREFIX = "t.integration.tasks."
chain: Any = canvas.chain  # celery-types knows fewer ways to make one than Celery
chord: Any = canvas.chord
group: Any = canvas.group


if TYPE_CHECKING:

    class Parameters(BaseModel):
        x: int
        y: int

    class Sum(BaseModel):
        result: int

else:
    Parameters = original.AddParameterModel
    Sum = original.AddResultModel


@component
class RedisClient:
    """One connection pool for as long as the worker lives, on its loop."""

    def __init__(self) -> None:
        self.redis = Redis(host=os.environ["REDIS_HOST"], port=int(os.environ["REDIS_PORT"]))

    @cleanup
    async def close(self) -> None:
        await self.redis.aclose()


@component
class Arithmetic:
    @task(f"{PREFIX}identity")
    async def identity(self, x: Any) -> Any:
        return x

    @task(f"{PREFIX}add")
    async def add(self, x: Any, y: Any, z: Any = None) -> Any:
        await asyncio.sleep(0)
        return x + y + z if z else x + y

    @task(f"{PREFIX}mul")
    async def mul(self, x: int, y: int) -> int:
        return x * y

    @task(f"{PREFIX}write_to_file_and_return_int")
    async def write_to_file_and_return_int(self, file_name: str, i: int) -> int:
        with Path(file_name).open("a") as file:
            file.write(f"{i}\n")
        return i

    @task(f"{PREFIX}add_not_typed")
    async def add_not_typed(self, x: Any, y: Any) -> Any:
        return x + y

    @task(f"{PREFIX}add_ignore_result", ignore_result=True)
    async def add_ignore_result(self, x: Any, y: Any) -> Any:
        return x + y

    @task(f"{PREFIX}add_with_result", ignore_result=False)
    async def add_with_result(self, x: Any, y: Any) -> Any:
        return x + y

    @task(f"{PREFIX}delayed_sum")
    async def delayed_sum(self, numbers: list[Any], pause_time: float = 1) -> Any:
        await asyncio.sleep(pause_time)
        return sum(numbers)

    @task(f"{PREFIX}delayed_sum_with_soft_guard")
    async def delayed_sum_with_soft_guard(self, numbers: list[Any], pause_time: float = 1) -> Any:
        try:
            await asyncio.sleep(pause_time)
        except SoftTimeLimitExceeded:
            return 0
        return sum(numbers)

    @task(f"{PREFIX}tsum")
    async def tsum(self, nums: list[Any]) -> Any:
        return sum(nums)

    @task(f"{PREFIX}xsum")
    async def xsum(self, nums: list[Any]) -> Any:
        return sum(sum(num) if isinstance(num, Iterable) else num for num in nums)

    @task(f"{PREFIX}add_pydantic")
    async def add_pydantic(self, data: Parameters) -> Sum:
        return Sum(result=data.x + data.y)

    @task(f"{PREFIX}add_pydantic_string_annotations")
    async def add_pydantic_string_annotations(self, data: Parameters) -> Sum:
        return Sum(result=data.x + data.y)

    @task(f"{PREFIX}print_unicode")
    async def print_unicode(self, log_message: str = "håå®ƒ valmuefrø", print_message: str = "hiöäüß") -> None:
        original.logger.warning(log_message)
        print(print_message)

    @task(f"{PREFIX}return_exception")
    async def return_exception(self, e: Any) -> Any:
        return e, True

    @task(f"{PREFIX}sleeping")
    async def sleeping(self, i: float, **_: Any) -> None:
        await asyncio.sleep(i)

    @task(f"{PREFIX}replaced_with_me")
    async def replaced_with_me(self) -> bool:
        return True


@component
class Failing:
    @task(f"{PREFIX}raise_error")
    async def raise_error(self, *args: Any) -> None:
        raise ValueError("deliberate error")

    @task(f"{PREFIX}fail")
    async def fail(self, *args: Any) -> None:
        raise original.ExpectedException("Task expected to fail", *args)

    @task(f"{PREFIX}fail_unpickleable")
    async def fail_unpickleable(self, foo: Any, bar: Any) -> None:
        raise original.UnpickleableException(foo, bar)


@component
class Redelivered:
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    @task(f"{PREFIX}store_success_then_reject", acks_late=True)
    async def store_success_then_reject(self) -> str:
        if not self.context.delivery_info.get("redelivered"):
            backend = current_task.backend
            await asyncio.to_thread(backend.store_result, self.context.id, "first-pass", SUCCESS)
            raise Reject(requeue=True)
        return "dedup-pass"

    @task(f"{PREFIX}reject_then_succeed", acks_late=True)
    async def reject_then_succeed(self) -> str:
        if not self.context.delivery_info.get("redelivered"):
            raise Reject(requeue=True)
        return "second-pass"

    @task(f"{PREFIX}reject_without_requeue")
    async def reject_without_requeue(self) -> None:
        raise Reject("rejected", requeue=False)


@component
class Retrying:
    def __init__(self, context: TaskContext) -> None:
        self.context = context
        self.attempt = 0

    @task(f"{PREFIX}retry", default_retry_delay=1)
    async def retry(self, return_value: Any = None) -> Any:
        if return_value:
            if self.attempt >= 3:
                self.attempt = 0
                return return_value
            self.attempt += 1
        raise current_task.retry(exc=original.ExpectedException(), countdown=5)

    @task(f"{PREFIX}retry_unpickleable", default_retry_delay=1)
    async def retry_unpickleable(self, foo: Any, bar: Any, *, retry_kwargs: dict[str, Any]) -> None:
        await self.context.retry(exc=original.UnpickleableException(foo, bar), **retry_kwargs)

    @task(f"{PREFIX}retry_with_args_after_kwargs", max_retries=1)
    async def retry_with_args_after_kwargs(self, foo: int, bar: int, label: Any = None) -> dict[str, Any]:
        if not self.context.retries:
            raise current_task.retry(args=(foo + 1, bar + 1), countdown=0)
        return {"foo": foo, "bar": bar, "label": label, **self._request()}

    @task(f"{PREFIX}retry_with_kwargs_after_args", max_retries=1)
    async def retry_with_kwargs_after_args(self, foo: int, bar: int) -> dict[str, Any]:
        if not self.context.retries:
            raise current_task.retry(kwargs={"foo": foo + 1}, countdown=0)
        return {"foo": foo, "bar": bar, **self._request()}

    @task(f"{PREFIX}retry_once", expires=120, max_retries=1)
    async def retry_once(
        self, *args: Any, expires: Any = None, max_retries: int | None = 1, countdown: float | None = 0.1
    ) -> int:
        if self.context.retries:
            return self.context.retries
        raise current_task.retry(countdown=countdown, expires=expires, max_retries=max_retries)

    @task(f"{PREFIX}retry_once_ignore_result", ignore_result=True)
    async def retry_once_ignore_result(self) -> int:
        if not self.context.retries:
            await self.context.retry(countdown=0)
        return self.context.retries

    @task(f"{PREFIX}retry_once_with_result", ignore_result=False)
    async def retry_once_with_result(self) -> int:
        if not self.context.retries:
            await self.context.retry(countdown=0)
        return self.context.retries

    @task(f"{PREFIX}retry_once_priority", max_retries=1)
    async def retry_once_priority(
        self, *args: Any, expires: float = 60.0, max_retries: int = 1, countdown: float = 0.1
    ) -> Any:
        if self.context.retries:
            return self.context.delivery_info["priority"]
        return await self.context.retry(countdown=countdown, max_retries=max_retries)

    @task(f"{PREFIX}retry_once_headers", max_retries=1)
    async def retry_once_headers(self, *args: Any, max_retries: int = 1, countdown: float = 0.1) -> Any:
        if self.context.retries:
            return current_task.request.headers
        return await self.context.retry(countdown=countdown, max_retries=max_retries)

    def _request(self) -> dict[str, Any]:
        return {"retries": self.context.retries, "is_eager": self.context.request.is_eager}


@component
class Telling:
    """What a body knows of its request."""

    def __init__(self, context: TaskContext) -> None:
        self.context = context

    @task(f"{PREFIX}ids")
    async def ids(self, i: Any) -> Any:
        return self.context.root_id, self.context.parent_id, i

    @task(f"{PREFIX}collect_ids")
    async def collect_ids(self, res: Any, i: Any) -> Any:
        return res, (self.context.root_id, self.context.parent_id, i)

    @task(f"{PREFIX}return_priority")
    async def return_priority(self, *_args: Any) -> str:
        return f"Priority: {self.context.delivery_info['priority']}"

    @task(f"{PREFIX}return_request_eta")
    async def return_request_eta(self) -> Any:
        return current_task.request.eta

    @task(f"{PREFIX}return_properties")
    async def return_properties(self) -> Any:
        return current_task.request.properties

    @task(f"{PREFIX}soft_time_limit_must_exceed_time_limit", soft_time_limit=2, time_limit=1)
    async def soft_time_limit_must_exceed_time_limit(self) -> None:
        return None

    @task(f"{PREFIX}return_request_time_limits")
    async def return_request_time_limits(self) -> dict[str, Any]:
        return self._limits()

    @task(f"{PREFIX}task_with_declared_time_limits", time_limit=60, soft_time_limit=45)
    async def task_with_declared_time_limits(self) -> dict[str, Any]:
        return self._limits()

    def _limits(self) -> dict[str, Any]:
        request = self.context.request
        return {"time_limit": request.time_limit, "soft_time_limit": request.soft_time_limit}


@component
class Replacing:
    @task(f"{PREFIX}add_replaced")
    async def add_replaced(self, x: Any, y: Any) -> None:
        raise current_task.replace(original.add.s(x, y))

    @task(f"{PREFIX}record_replaced_task_nesting")
    async def record_replaced_task_nesting(self, replacements: int, nesting: list[int] | None = None) -> Any:
        nesting = [*(nesting or []), current_task.request.replaced_task_nesting]
        if replacements:
            replacement = original.record_replaced_task_nesting.s(replacements - 1, nesting)
            return current_task.replace(replacement.set(reply_to=current_task.request.reply_to))
        return nesting

    @task(f"{PREFIX}add_replaced_with_chain")
    async def add_replaced_with_chain(self, x: Any, y: Any) -> None:
        raise current_task.replace(chain(original.add.s(x, y), original.identity.s()))

    @task(f"{PREFIX}replace_with_chain")
    async def replace_with_chain(self, *args: Any, link_msg: Any = None) -> Any:
        workflow = chain(original.identity.s(*args), original.identity.s())
        workflow.link(_echo(link_msg))
        return current_task.replace(workflow)

    @task(f"{PREFIX}replace_with_chain_which_raises")
    async def replace_with_chain_which_raises(self, *args: Any, link_msg: Any = None) -> Any:
        workflow = chain(original.identity.s(*args), original.raise_error.s())
        workflow.link_error(_echo(link_msg))
        return current_task.replace(workflow)

    @task(f"{PREFIX}replace_with_empty_chain")
    async def replace_with_empty_chain(self, *_: Any) -> Any:
        return current_task.replace(chain())

    @task(f"{PREFIX}replace_with_chain_which_contains_a_group")
    async def replace_with_chain_which_contains_a_group(self) -> Any:
        return current_task.replace(chain(original.add.s(1, 2), group(original.add.s(1), original.add.s(1))))

    @task(f"{PREFIX}add_to_all")
    async def add_to_all(self, nums: list[Any], val: Any) -> None:
        raise current_task.replace(group(*[original.add.s(num, val) for num in nums]))

    @task(f"{PREFIX}fail_replaced")
    async def fail_replaced(self, *args: Any) -> None:
        raise current_task.replace(original.fail.si(*args))


@component
class Sending:
    """Workflows sent from a body: Celery's own calls block, so they go into a thread."""

    @task(f"{PREFIX}chain_add")
    async def chain_add(self, x: Any, y: Any) -> None:
        await asyncio.to_thread((original.add.s(x, x) | original.add.s(y)).apply_async)

    @task(f"{PREFIX}chord_add")
    async def chord_add(self, x: Any, y: Any) -> None:
        await asyncio.to_thread(chord(original.add.s(x, x), original.add.s(y)).apply_async)

    @task(f"{PREFIX}add_to_all_to_chord")
    async def add_to_all_to_chord(self, nums: list[Any], val: Any) -> int:
        for num in nums:
            await asyncio.to_thread(current_task.add_to_chord, original.add.s(num, val))
        return 0

    @task(f"{PREFIX}add_chord_to_chord")
    async def add_chord_to_chord(self, nums: list[Any], val: Any) -> int:
        subtasks = [original.add.s(num, val) for num in nums]
        await asyncio.to_thread(current_task.add_to_chord, group(subtasks) | original.tsum.s())
        return 0

    @task(f"{PREFIX}build_chain_inside_task")
    async def build_chain_inside_task(self) -> Any:
        add = original.add
        return await asyncio.to_thread(add.s(1, 1) | add.s(2) | group(add.s(3), add.s(4)) | add.s(5))


@component
class Redirected:
    """Tasks that note in Redis that they ran."""

    def __init__(self, client: RedisClient, context: TaskContext) -> None:
        self.redis: Any = client.redis
        self.context = context

    @task(f"{PREFIX}redis_echo")
    async def redis_echo(self, message: Any, redis_key: str = "redis-echo") -> None:
        await self.redis.rpush(redis_key, message)

    @task(f"{PREFIX}redis_echo_group_id")
    async def redis_echo_group_id(self, _: Any, redis_key: str = "redis-group-ids") -> None:
        await self.redis.rpush(redis_key, self.context.group_id)

    @task(f"{PREFIX}redis_count")
    async def redis_count(self, redis_key: str = "redis-count") -> None:
        await self.redis.incr(redis_key)

    @task(f"{PREFIX}sum_and_record")
    async def sum_and_record(self, values: list[Any], redis_key: str) -> Any:
        await self.redis.rpush(redis_key, self.context.id)
        return sum(values)

    @task(f"{PREFIX}second_order_replace1")
    async def second_order_replace1(self, state: bool = False) -> None:
        await self.redis.rpush("redis-echo", "Out A" if state else "In A")
        if not state:
            again = original.second_order_replace1.si(state=True)
            raise current_task.replace(chain(original.second_order_replace2.s(), again))

    @task(f"{PREFIX}second_order_replace2")
    async def second_order_replace2(self, state: bool = False) -> None:
        await self.redis.rpush("redis-echo", "Out B" if state else "In B")
        if not state:
            again = original.second_order_replace2.si(state=True)
            raise current_task.replace(chain(original.redis_echo.s("In/Out C"), again))

    @task(f"{PREFIX}errback_old_style")
    async def errback_old_style(self, request_id: str) -> str:
        await self.redis.incr(request_id)
        return request_id

    @task(f"{PREFIX}errback_old_style_with_args")
    async def errback_old_style_with_args(self, request_id: str, label: str) -> None:
        await self.redis.rpush(request_id, label)


@component
class Signatures:
    """Workflows as results; nobody runs them."""

    @task(f"{PREFIX}return_nested_signature_chain_chain")
    async def chain_chain(self) -> Any:
        return chain(chain([original.add.s()]))

    @task(f"{PREFIX}return_nested_signature_chain_group")
    async def chain_group(self) -> Any:
        return chain(group([original.add.s()]))

    @task(f"{PREFIX}return_nested_signature_chain_chord")
    async def chain_chord(self) -> Any:
        return chain(chord([original.add.s()], original.add.s()))

    @task(f"{PREFIX}return_nested_signature_group_chain")
    async def group_chain(self) -> Any:
        return group(chain([original.add.s()]))

    @task(f"{PREFIX}return_nested_signature_group_group")
    async def group_group(self) -> Any:
        return group(group([original.add.s()]))

    @task(f"{PREFIX}return_nested_signature_group_chord")
    async def group_chord(self) -> Any:
        return group(chord([original.add.s()], original.add.s()))

    @task(f"{PREFIX}return_nested_signature_chord_chain")
    async def chord_chain(self) -> Any:
        return chord(chain([original.add.s()]), original.add.s())

    @task(f"{PREFIX}return_nested_signature_chord_group")
    async def chord_group(self) -> Any:
        return chord(group([original.add.s()]), original.add.s())

    @task(f"{PREFIX}return_nested_signature_chord_chord")
    async def chord_chord(self) -> Any:
        return chord(chord([original.add.s()], original.add.s()), original.add.s())

    @task(f"{PREFIX}rebuild_signature")
    async def rebuild_signature(self, sig_dict: dict[str, Any]) -> None:
        _check_signature(Signature.from_dict(sig_dict))


COMPONENTS = (
    Arithmetic,
    Failing,
    Redelivered,
    Retrying,
    Telling,
    Replacing,
    Sending,
    Redirected,
    Signatures,
)


def names() -> list[str]:
    """Return the names of the tasks that have an asynchronous form here."""
    marks = [marks_of(member).implementation for cls in COMPONENTS for member in vars(cls).values()]
    return [mark.name for mark in marks if mark is not None]


def _echo(message: Any) -> Any:
    link = original.redis_echo.s()
    if message is not None:
        link.args = (message,)
        link.set(immutable=True)
    return link


def _check_signature(signature: Any) -> None:
    if not isinstance(signature, Signature):
        raise TypeError(f"{signature!r} is not a signature object")
    if isinstance(signature, (chain, chord, group)):
        for inner in signature.tasks:
            _check_signature(inner)
    if isinstance(signature, chord):
        _check_signature(signature.body)
