"""Claims about the command ``python -m pico_celery.app.embedded``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pico_celery.app.embedded import (
    EmbeddedBroker,
    directory_of,
)
from pico_celery.app.embedded.__main__ import main
from tests.embedded.embedded_support import User, eventually, is_alive, server_pid, without


class TestCommand:
    def test_status_tells_whether_a_server_runs(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["status", str(data)]) == 1
        assert not data.exists()
        with EmbeddedBroker(data) as broker:
            assert main(["status", str(data)]) == 0
            assert f"process {broker.server_pid()}, redis+socket://" in capsys.readouterr().out
        assert main(["status", str(data)]) == 1
        assert "no server answers" in capsys.readouterr().out

    def test_stop_stops_the_server_whoever_uses_it(self, data: Path) -> None:
        command = [sys.executable, "-m", "pico_celery.app.embedded", "stop"]
        with EmbeddedBroker(data) as broker:
            pid = server_pid(broker)
            stopped = subprocess.run([*command, str(data)], check=True, capture_output=True, text=True)
            assert stopped.stdout == f"{data}: stopped\n"
            assert eventually(lambda: not is_alive(pid))
            again = subprocess.run([*command, str(data)], check=True, capture_output=True, text=True)
            assert again.stdout == f"{data}: no server was running\n"

    def test_stop_can_spare_a_server_that_is_used(
        self, data: Path, users: Callable[[Path], User], capsys: pytest.CaptureFixture[str]
    ) -> None:
        user = users(data).say()
        pid = user.hear()
        assert main(["stop", "--unused", str(data)]) == 0
        assert capsys.readouterr().out == f"{data}: no unused server was running\n"
        assert is_alive(pid)
        user.kill()
        assert main(["stop", "--unused", str(data)]) == 0
        assert eventually(lambda: not is_alive(pid))

    def test_the_default_is_the_default_directory(
        self, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(data.parent)
        with EmbeddedBroker(directory_of("embedded")) as broker:
            assert main(["stop"]) == 0
            assert broker.server_pid() is None
        assert capsys.readouterr().out == f"{data.parent / '.pico-celery'}: stopped\n"

    def test_an_error_goes_to_the_error_output(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        without(monkeypatch, "redis")
        assert main(["stop", str(tmp_path)]) == 1
        assert "pip install" in capsys.readouterr().err


def test_its_help_can_be_read() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pico_celery.app.embedded", "--help"], capture_output=True, text=True, check=True
    )
    assert "the data directory (" in done.stdout
