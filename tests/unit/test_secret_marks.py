"""Secrets are recognized by private names of pydantic; a release that renames them is refused, it does not log secrets."""

from collections.abc import Iterator
from typing import Protocol

import pytest
from pydantic import SecretStr

from pico_celery import Catalog, ContractError, contract
from pico_celery.contract import core_schema


@pytest.fixture(autouse=True)
def _check_anew() -> Iterator[None]:
    core_schema.check_secret_marks.cache_clear()
    yield
    core_schema.check_secret_marks.cache_clear()


def declare() -> None:
    @contract("unit_secret_marks", catalog=Catalog())
    class Logins(Protocol):
        async def log_in(self, password: SecretStr) -> None: ...


def test_the_installed_release_marks_secrets_as_expected() -> None:
    declare()


@pytest.mark.parametrize("mark", ["_is_pydantic_mask", "_has_secret"])
def test_a_release_with_other_marks_is_refused(monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    monkeypatch.setattr(core_schema, mark, lambda _: False)
    with pytest.raises(ContractError) as raised:
        declare()
    (fault,) = raised.value.faults
    assert fault.code == "secret_marks"
    assert "SecretStr, SecretBytes, Secret cannot be recognized" in fault.got
    assert "install a release of pydantic" in fault.remedy
