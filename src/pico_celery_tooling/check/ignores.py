"""What a project says about its checks: the ignores of ``pyproject.toml`` and of the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pico_celery.contract.naming import did_you_mean
from pico_celery_tooling.evolution.ignores import Ignore, is_like
from pico_celery_tooling.output import ToolError

PROJECT_FILE: Final = "pyproject.toml"
_TABLE: Final = "tool.pico_celery.check"
_OPTION: Final = re.compile(r"(?P<rule>[^:=]+)(?::(?P<task>[^=]+))?=(?P<reason>.*)", re.DOTALL)
_Text = Annotated[str, Field(min_length=1, pattern=r"\S")]


class _Ignored(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    rule: _Text
    task: _Text = "*"
    path: str = "*"
    reason: _Text


class _Check(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    ignore: list[_Ignored] = []


def ignores_of_project(file: Path | None) -> list[Ignore]:
    """Read the ignores of a project."""
    path = file or Path(PROJECT_FILE)
    if file is None and not path.is_file():
        return []
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolError(f"{path} cannot be read: {error}") from error
    table = _table(data)
    if table is None:
        if file is not None:
            raise ToolError(
                f"{path} has no table [{_TABLE}]", f'write one: [{_TABLE}], ignore = [{{rule = "...", reason = "..."}}]'
            )
        return []
    try:
        check = _Check.model_validate(table)
    except ValidationError as error:
        raise _wrong(path, error) from None
    where = f"{path} [{_TABLE}]"
    return [Ignore(rule=one.rule, task=one.task, path=one.path, reason=one.reason, where=where) for one in check.ignore]


def _table(data: Mapping[str, Any]) -> Any:
    found: Any = data
    for name in _TABLE.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _wrong(path: Path, error: ValidationError) -> ToolError:
    detail = error.errors(include_url=False, include_context=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
    remedy = "an ignore has a rule, a reason, and if it is for one place a task and a path, each text"
    if detail["loc"][-1:] == ("reason",):
        remedy = "say why it does not count: whoever reads it later has to know when it can go"
    elif detail["type"] == "extra_forbidden":
        known = list(_Ignored.model_fields) if "ignore" in detail["loc"] else list(_Check.model_fields)
        remedy = did_you_mean(str(detail["loc"][-1]), known)
    return ToolError(f"{path}: {_TABLE}.{place}: {detail['msg']}", remedy)


def ignore_of_option(text: str) -> Ignore:
    """Read an ignore of the command line."""
    parts = _OPTION.fullmatch(text.strip())
    if parts is None or not parts["reason"].strip():
        raise ToolError(
            f"--ignore {text!r} has no reason",
            "write RULE:TASK=REASON, such as 'queue_moved:orders.*=a worker stays on the old queue'",
        )
    return Ignore(
        rule=parts["rule"].strip(),
        task=(parts["task"] or "*").strip(),
        reason=parts["reason"].strip(),
        where="--ignore",
    )


def require_known(ignores: Iterable[Ignore], known: Callable[[str], Sequence[str]]) -> None:
    """Require that each ignore is about a rule that there is."""
    for ignore in ignores:
        names = known(ignore.rule)
        if not any(is_like(rule, ignore.rule) for rule in names):
            remedy = f"{did_you_mean(ignore.rule, names)}; 'pico-celery check --rules' lists them"
            raise ToolError(f"{ignore.where}: there is no rule {ignore.rule!r}", remedy)
