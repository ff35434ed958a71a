"""An HTTP API that awaits tasks: ``uvicorn examples.shop.api:api``.

Its container has only clients. It imports neither the workers nor their dependencies.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, cast

from fastapi import Depends, FastAPI, HTTPException, Request
from pico_ioc import init

from examples.shop.clients import OrdersClient
from examples.shop.settings import shop_config
from pico_celery import PicoCeleryError
from shop_contracts import Order, PaymentDeclined, Receipt, Status

WAIT_SECONDS = 10


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    container = init(modules=["pico_celery", "examples.shop.clients"], config=shop_config())
    api.state.orders = container.get(OrdersClient)
    yield
    container.shutdown()


api = FastAPI(title="shop", lifespan=lifespan)


def orders_client(request: Request) -> OrdersClient:
    return cast("OrdersClient", request.app.state.orders)


Client = Annotated[OrdersClient, Depends(orders_client)]


@api.post("/orders")
async def place(order: Order, orders: Client, *, dry_run: bool = False) -> Receipt:
    """Wait for the receipt without blocking the event loop. A declared error becomes a response."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            return await orders.place(order, dry_run=dry_run)
    except TimeoutError:
        raise HTTPException(504, "no worker answered in time") from None
    except PaymentDeclined as error:
        raise HTTPException(
            402, {"error": error.code, "reason": error.reason, "missing": str(error.missing)}
        ) from error
    except PicoCeleryError as error:
        raise HTTPException(502, str(error)) from error


@api.delete("/orders/{order_id}", status_code=202)
async def cancel(order_id: int, orders: Client) -> dict[str, str]:
    """Do not wait: return the id by which the result can be read later."""
    return {"task": orders.cancel(order_id).id}


@api.get("/orders/{order_id}")
async def status(order_id: int, orders: Client) -> Status:
    return (await orders.status({order_id}))[order_id]
