"""Claims about an embedded broker whose server or directory went away."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pico_celery.app.embedded import (
    EmbeddedBroker,
)
from tests.embedded.embedded_support import (
    CLIENT_THAT_JUST_ENDS,
    User,
    client_of,
    eventually,
    is_alive,
    kill,
    run,
    server_pid,
    socket_of,
)


class TestRecovery:
    def test_a_dead_server_and_its_stale_socket_are_replaced_and_the_data_is_kept(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            client_of(broker).set("key", "value")
            kill(server_pid(broker))
            assert socket_of(broker).is_socket()
            assert broker.server_pid() is None
            assert client_of(broker.start()).get("key") == "value"

    def test_another_process_replaces_a_server_that_died_in_use(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        with EmbeddedBroker(data) as broker:
            client_of(broker).set("key", "value")
            kill(server_pid(broker))
            other = users(data).say()
            assert other.hear() == broker.server_pid()
            assert client_of(broker).get("key") == "value"
            other.end()
            assert broker.server_pid() is not None

    def test_leaving_a_dead_server_is_no_error(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            kill(server_pid(broker))

    def test_the_files_of_another_life_do_not_matter(self, data: Path) -> None:
        data.mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(data / "redis.sock"))
        (data / "server.lock").write_text(f'{{"pid": {os.getpid()}, "socket": "{data}/redis.sock"}}')
        (data / "redis.pid").write_text(f"{os.getpid()}\n")
        assert EmbeddedBroker(data).server_pid() is None
        assert not EmbeddedBroker(data).shutdown()
        with EmbeddedBroker(data) as broker:
            assert server_pid(broker) != os.getpid()

    def test_a_directory_that_is_removed_in_use_leaves_no_server_behind(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            pid = server_pid(broker)
            shutil.rmtree(data)
        assert eventually(lambda: not is_alive(pid))
        assert not data.exists()

    def test_a_directory_that_is_removed_right_after_its_last_user_leaves_no_server_behind(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        user = users(data).say()
        pid = user.hear()
        user.end()
        shutil.rmtree(data)
        assert eventually(lambda: not is_alive(pid))

    def test_a_directory_that_is_removed_in_use_can_be_started_again(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        with EmbeddedBroker(data) as broker:
            old = server_pid(broker)
            shutil.rmtree(data)
            other = users(data).say()
            new = other.hear()
            assert new != old
            assert server_pid(broker.start()) == new
            other.end()
            assert eventually(lambda: not is_alive(old))
            assert client_of(broker).ping()

    def test_a_directory_may_lie_too_deep_for_a_socket(self, data: Path) -> None:
        deep = data / ("d" * 75) / ("e" * 75)
        with EmbeddedBroker(deep) as broker:
            pid = server_pid(broker)
            home = socket_of(broker).parent
            assert not home.is_relative_to(deep)
            assert stat.S_IMODE(home.stat().st_mode) == 0o700
            client_of(broker).set("key", "value")
            assert run(CLIENT_THAT_JUST_ENDS, deep) == ["42"]
            assert broker.server_pid() == pid
        assert eventually(lambda: not is_alive(pid))
        assert not home.exists()
        with EmbeddedBroker(deep) as broker:
            assert client_of(broker).get("key") == "value"

    def test_a_process_with_another_temporary_directory_finds_the_server(
        self, data: Path, users: Callable[[Path], User], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deep = data / ("d" * 150)
        with EmbeddedBroker(deep) as broker:
            monkeypatch.setenv("TMPDIR", str(Path.home()))
            other = users(deep).say()
            assert other.hear() == broker.server_pid()
            other.end()
