"""`TaskContext`, and what blocks a loop, without a broker."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

import pytest
from celery import current_task
from celery.exceptions import Retry
from pico_ioc import PicoContainer, component

from pico_celery import CeleryClient, ExecutionError, OptionError, TaskContext, celery, contract, send_task
from pico_celery.threads import offload


@contract("context")
class Contexts(Protocol):
    async def tell(self) -> dict[str, Any]: ...

    async def far(self) -> list[str]: ...

    async def again(self, times: int) -> int: ...

    async def misspelt(self) -> None: ...

    async def call(self) -> dict[str, Any]: ...

    async def block(self) -> None: ...


@celery
class ContextsClient(CeleryClient):
    tell = send_task(Contexts.tell)
    far = send_task(Contexts.far)
    again = send_task(Contexts.again)
    misspelt = send_task(Contexts.misspelt)
    call = send_task(Contexts.call)
    block = send_task(Contexts.block)


@component
class ContextsWorker(Contexts):
    def __init__(self, context: TaskContext, client: ContextsClient) -> None:
        self.context = context
        self.client = client
        self.said = repr(context)

    async def tell(self) -> dict[str, Any]:
        context = self.context
        assert context.request.id == context.id == current_task.request.id
        return {
            "name": context.name,
            "retries": context.retries,
            "max_retries": context.max_retries,
            "limits": [context.time_limit, context.soft_time_limit, context.deadline, context.time_left],
            "times": [context.eta, context.expires],
            "cancelled": context.cancelled,
            "headers": dict(context.headers),
            "said": self.said,
            "says": repr(context) == f"<TaskContext of context.tell[{context.id}]>",
        }

    async def far(self) -> list[str]:
        async def child() -> str:
            await asyncio.sleep(0)
            return self.context.name

        thread: list[str] = []
        other = threading.Thread(target=lambda: thread.append(repr(self.context)))
        other.start()
        other.join()
        named = asyncio.create_task(child())
        assert named.get_name().startswith(f"context.far[{self.context.id}] ")
        return [await named, await asyncio.to_thread(lambda: self.context.name), *thread]

    async def again(self, times: int) -> int:
        if self.context.retries < times:
            await self.context.retry(countdown=timedelta(0), max_retries=5)
        return self.context.retries

    async def misspelt(self) -> None:
        await self.context.retry(count_down=1)  # type: ignore[call-arg]  # the mistake

    async def call(self) -> dict[str, Any]:
        return await (await self.client.tell.asend())

    async def block(self) -> None:
        self.client.tell()


@pytest.fixture
def client(boot: Callable[..., PicoContainer]) -> ContextsClient:
    return boot(ContextsWorker, ContextsClient).get(ContextsClient)


def test_a_body_is_told_of_its_execution(client: ContextsClient) -> None:
    assert client.tell().get() == {
        "name": "context.tell",
        "retries": 0,
        "max_retries": 3,
        "limits": [None] * 4,
        "times": [None] * 2,
        "cancelled": False,
        "headers": client.tell().get()["headers"],
        "said": "<TaskContext outside a task>",
        "says": True,
    }


def test_child_tasks_and_threads_of_the_body_belong_to_it_and_other_threads_do_not(client: ContextsClient) -> None:
    assert client.far().get() == ["context.far", "context.far", "<TaskContext outside a task>"]


def test_a_retry_runs_the_task_again(client: ContextsClient) -> None:
    assert client.again(3).get() == 3


def test_a_misspelt_option_of_retry_says_which(client: ContextsClient) -> None:
    with pytest.raises(OptionError, match=r"count_down.*did you mean 'countdown'|countdown"):
        client.misspelt().get()


def test_a_task_awaits_another_one(client: ContextsClient) -> None:
    assert client.call().get()["name"] == "context.tell"


def test_a_task_that_runs_another_one_synchronously_is_told_to_await_it(client: ContextsClient) -> None:
    with pytest.raises(ExecutionError, match=r"await client\.task\.asend"):
        client.block().get()


@pytest.mark.parametrize("member", ["id", "name", "retries", "headers", "deadline", "cancelled", "request"])
def test_outside_a_task_every_member_says_so(member: str) -> None:
    with pytest.raises(ExecutionError, match="use it in a task's method"):
        getattr(TaskContext(), member)


async def _outside() -> None:
    context = TaskContext()
    with pytest.raises(ExecutionError, match="none runs here"):
        await context.progress(1)
    with pytest.raises(ExecutionError, match="none runs here"):
        await context.retry()


def test_outside_a_task_nothing_is_stored_and_nothing_retried() -> None:
    asyncio.run(_outside())


def test_an_offloaded_call_leaves_the_loop_free_and_keeps_its_context() -> None:
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    release = threading.Event()

    def blocking() -> str:
        assert release.wait(20)
        return f"{variable.get()} {threading.current_thread().daemon}"

    async def main() -> list[str]:
        variable.set("mine")
        calls = [asyncio.create_task(offload(blocking)) for _ in range(6)]
        await asyncio.sleep(0)
        release.set()
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == ["mine True"] * 6


def test_an_offloaded_call_raises_what_it_raised() -> None:
    def fail() -> None:
        raise Retry("no")

    with pytest.raises(Retry, match="no"):
        asyncio.run(offload(fail))


@contract("changing")
class Changing(Protocol):
    async def by_args(self, number: int, text: str = "", *, how: str = "") -> list[Any]: ...

    async def by_kwargs(self, number: int, text: str = "", *, how: str = "") -> list[Any]: ...

    async def by_both(self, number: int, text: str = "", *, how: str = "") -> list[Any]: ...


@component
class ChangingWorker(Changing):
    async def by_args(self, number: int, text: str = "", *, how: str = "") -> list[Any]:
        if current_task.request.retries == 0:
            raise current_task.retry(args=(number + 1,), countdown=0)
        return [number, text, how]

    async def by_kwargs(self, number: int, text: str = "", *, how: str = "") -> list[Any]:
        if current_task.request.retries == 0:
            raise current_task.retry(kwargs={"text": "changed"}, countdown=0)
        return [number, text, how]

    async def by_both(self, number: int, text: str = "", *, how: str = "") -> list[Any]:
        if current_task.request.retries == 0:
            raise current_task.retry(args=(number + 1,), kwargs={"how": "so"}, countdown=0)
        return [number, text, how]


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "expected"),
    [
        ("by_args", (), {"number": 1, "text": "kept", "how": "kept"}, [2, "kept", "kept"]),
        ("by_args", (1, "kept"), {}, [2, "kept", ""]),
        ("by_kwargs", (1, "replaced"), {}, [1, "changed", ""]),
        ("by_kwargs", (), {"number": 1, "how": "left out"}, [1, "changed", ""]),
        ("by_both", (1, "left out"), {}, [2, "", "so"]),
    ],
)
def test_a_retry_may_change_the_arguments_whichever_way_they_came(
    boot: Callable[..., PicoContainer], name: str, args: Any, kwargs: Any, expected: Any
) -> None:
    from celery import Celery

    app = boot(ChangingWorker).get(Celery)
    assert app.tasks[f"changing.{name}"].apply(args, kwargs).get() == expected
