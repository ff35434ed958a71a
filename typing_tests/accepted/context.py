"""A task's context, and calls that are awaited from a task's body."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from pico_ioc import component
from typing_tests.shop import Order, Orders, Receipt

from pico_celery import AsyncResult, CeleryClient, RetryOptions, TaskContext, celery, send_task, task


@celery
class OrdersClient(CeleryClient):
    place = send_task(Orders.place)
    count = send_task(Orders.count)


@component
class OrdersWorker:
    def __init__(self, context: TaskContext, client: OrdersClient) -> None:
        self.context = context
        self.client = client

    @task(Orders.find)
    async def find(self, text: str, limits: dict[str, int] | None = None) -> list[Order]:
        context = self.context
        assert_type(context.id, str)
        assert_type(context.name, str)
        assert_type(context.retries, int)
        assert_type(context.max_retries, int | None)
        assert_type(context.headers, Mapping[str, Any])
        assert_type(context.delivery_info, Mapping[str, Any])
        assert_type(context.deadline, datetime | None)
        assert_type(context.time_left, timedelta | None)
        assert_type(context.time_limit, timedelta | None)
        assert_type(context.cancelled, bool)
        await context.progress({"done": 1, "of": limits})
        if context.retries < 1:
            await context.retry(countdown=timedelta(seconds=1), exc=ValueError(text))
        if context.retries > 1:
            await context.retry(countdown=0.5, max_retries=3, queue="slow")
        options: RetryOptions = {"countdown": timedelta(seconds=1), "priority": 3}
        if context.retries > 3:
            await context.retry(**options)
        if context.retries > 2:
            await context.retry(eta=datetime.now(UTC))
        result = await self.client.place.asend(Order(id=1), dry_run=True)
        assert_type(result, AsyncResult[Receipt])
        assert_type(await result, Receipt)
        assert_type(await (await self.client.count.with_options(countdown=1).asend()), int)
        return []
