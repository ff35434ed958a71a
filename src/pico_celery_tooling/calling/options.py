"""Options of sending as texts: ``queue=fast``, ``countdown=10``, ``headers={"trace": "1"}``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, get_args, get_origin, get_type_hints

from pico_celery.client.options import SendOptions, check_send_options, merge_options
from pico_celery.contract.naming import did_you_mean
from pico_celery.contract.options import SENDING
from pico_celery.document.records import TaskRecord
from pico_celery.errors import Fault, OptionError

_NOT_HERE: Final = frozenset({"link", "link_error", "add_to_parent", "reply_to", "mandatory"})
"""What a program gives: signatures, and what belongs to the task that sends or to the way of waiting."""


def options_of(task: TaskRecord, texts: Iterable[str]) -> dict[str, Any]:
    """Return what a call is sent with: the options of the contract, and those that the user gives, which win.

    Args:
        task: The task.
        texts: ``name=value``; the value is JSON where it can be read so and the option is no text. Durations are seconds,
            times ISO 8601: one without a zone is one of the local zone.

    Returns:
        Checked options, with durations in seconds.

    Raises:
        OptionError: If one is unknown or has a wrong type; all faults in one error.
    """
    own = {name: value for name, value in task.options.items() if name in SENDING}
    faults: list[Fault] = []
    given: dict[str, Any] = {}
    for text in texts:
        name, is_pair, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not is_pair:
            remedy = "write name=value, such as queue=fast or countdown=10"
            faults.append(_fault(task, text, "name=value", "no '='", remedy, "option_shape"))
        elif name in _NOT_HERE or name not in _HINTS:
            remedy = did_you_mean(name, _HINTS.keys() - _NOT_HERE)
            got = "one that only a program can give" if name in _NOT_HERE else "an unknown one"
            faults.append(_fault(task, name, "a known option", got, remedy, "unknown_option"))
        else:
            given[name] = _value(_HINTS[name], value)
    try:
        checked = check_send_options(given, task.name)
    except OptionError as error:
        raise OptionError.of(task.name, [*faults, *error.faults]) from None
    if faults:
        raise OptionError.of(task.name, faults)
    return merge_options(check_send_options(own, task.name), checked)


_HINTS: Final[Mapping[str, Any]] = get_type_hints(SendOptions)


def _value(hint: Any, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return _moment(text) if _takes(hint, datetime) else text
    if isinstance(value, str):
        return _moment(value) if _takes(hint, datetime) else value
    return text if hint is str else value


def _moment(text: str) -> datetime | str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text  # the check of its type says what is expected
    return moment.astimezone() if moment.tzinfo is None else moment


def _takes(hint: Any, wanted: type) -> bool:
    return hint is wanted or (get_origin(hint) is not None and any(_takes(one, wanted) for one in get_args(hint)))


def _fault(task: TaskRecord, path: str, expected: str, got: str, remedy: str, code: str) -> Fault:  # noqa: PLR0917 - as a fault has attributes
    return Fault(task=task.name, path=path, expected=expected, got=got, remedy=remedy, code=code)
