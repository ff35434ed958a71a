"""Asking the workers whether they serve what clients call, once or until they do."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Final

from celery import Celery

from pico_celery_tooling.live.verifying import TaskReport, Wanted, differing, verify
from pico_celery_tooling.live.workers import Answers, ask
from pico_celery_tooling.output import ToolError

_PAUSE_SECONDS: Final = 0.5


def verify_live(app: Celery, wanted: list[Wanted], timeout: float) -> tuple[Answers, list[TaskReport]]:
    """Ask the workers, then those again for definitions who have another version of something.

    Args:
        app: The application.
        wanted: What has to be served.
        timeout: Seconds in which workers have to answer.

    Returns:
        Their answers, and how each task stands.

    Raises:
        ToolError: If the broker cannot be reached.
    """
    answers = ask(app, timeout)
    others = differing(wanted, answers)
    if others:
        workers = [answer.worker for answer in answers if any(answer.digest(name) for name in others)]
        told = {answer.worker: answer for answer in ask(app, timeout, workers, definitions=others)}
        # Who does not answer the second time is judged by the first answer: its definition is not known.
        answers = Answers(tuple(told.get(answer.worker, answer) for answer in answers))
    return answers, verify(wanted, answers)


def wait_until_good(
    look: Callable[[], tuple[Answers, list[TaskReport]]], seconds: float, tell: Callable[[str], None]
) -> tuple[Answers, list[TaskReport]]:
    """Look again and again until all is good, or the time is over.

    Args:
        look: Asks the workers.
        seconds: How long; once, where it is 0.
        tell: Told what is waited for, each time that it is something else.

    Returns:
        What was found last.

    Raises:
        ToolError: If the broker could not be reached to the end.
    """
    deadline = monotonic() + seconds
    before = ""
    while True:
        over = monotonic() + _PAUSE_SECONDS >= deadline
        try:
            found = look()
        except ToolError as error:
            if over:
                raise
            missing = error.message
        else:
            missing = ", ".join(f"{one.wanted.name} is {one.state}" for one in found[1] if not one.is_good)
            if over or not missing:
                return found
        if missing != before and monotonic() + _PAUSE_SECONDS < deadline:
            tell(f"waiting, {max(0.0, deadline - monotonic()):.0f} s at most: {missing}")
            before = missing
        sleep(_PAUSE_SECONDS)
