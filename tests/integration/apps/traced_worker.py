"""The worker of the shop, which reports which modules of the library ran since it was asked to forget them."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

from celery.worker.control import inspect_command

from tests.integration.apps.contract_worker import celery_app

__all__ = ["celery_app"]

modules: set[str] = set()


def trace(frame: FrameType, event: str, _: Any) -> None:
    name = frame.f_globals.get("__name__", "")
    if event == "call" and name.startswith("pico_celery."):
        modules.add(name)


@inspect_command()
def forget_modules(_: Any) -> list[str]:
    modules.clear()
    return []


@inspect_command()
def report_modules(_: Any) -> list[str]:
    return sorted(modules)


# Before the worker starts its threads; a new greenlet is traced like the thread that it runs on.
threading.setprofile(trace)
sys.setprofile(trace)
