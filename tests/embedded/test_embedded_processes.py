"""Claims about the embedded broker that several processes share, by chance or by fork."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pico_celery.app.embedded import (
    EmbeddedBroker,
    after_exit,
)
from pico_celery.app.embedded import broker as broker_module
from pico_celery.errors import EmbeddedBrokerError
from tests.embedded.embedded_support import (
    CLIENT_THAT_JUST_ENDS,
    DEADLINE_SECONDS,
    User,
    client_of,
    eventually,
    is_alive,
    run,
    server_pid,
    servers_of,
)

CHILD_THAT_LEAVES = """
import os, sys
from pico_celery.app.embedded import EmbeddedBroker

with EmbeddedBroker(sys.argv[1]) as broker:
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        print("running" if broker.server_pid() else "stopped")
"""


CHILD_THAT_OUTLIVES = """
import os, sys
from pico_celery.app.embedded import EmbeddedBroker

broker = EmbeddedBroker(sys.argv[1]).start()
hear, tell = os.pipe()
child = os.fork()
if not child:
    os.close(tell)
    os.read(hear, 1)
    os._exit(0)
broker.leave()
print("running" if broker.server_pid() else "stopped")
os.close(tell)
assert os.waitpid(child, 0)[1] == 0
"""


CHILD_THAT_STARTS = """
import os, sys, time
from pico_celery.app.embedded import EmbeddedBroker

broker = EmbeddedBroker(sys.argv[1]).start()
hear, tell = os.pipe()
started, start = os.pipe()
child = os.fork()
if not child:
    os.close(tell)
    broker.start()
    os.write(start, b".")
    os.read(hear, 1)
    sys.exit(0)
os.read(started, 1)
broker.leave()
print("running" if broker.server_pid() else "stopped")
os.close(tell)
assert os.waitpid(child, 0)[1] == 0
while broker.server_pid():
    time.sleep(0.01)
print("stopped")
"""


PARENT_THAT_IS_KILLED = """
import os, signal, sys
from pico_celery.app.embedded import EmbeddedBroker

broker = EmbeddedBroker(sys.argv[1]).start()
if os.fork():
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.readline()
os._exit(0)
"""


class TestProcesses:
    def test_processes_that_start_at_once_share_one_server(self, data: Path, users: Callable[[Path], User]) -> None:
        made = [users(data) for _ in range(6)]
        for user in made:
            user.say()
        pids = {user.hear() for user in made}
        assert len(pids) == 1
        assert servers_of(data) in ([], [*pids])
        for user in made:
            assert is_alive(*pids)
            user.end()
        assert eventually(lambda: not is_alive(*pids))

    def test_starting_and_leaving_against_each_other_never_fails(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        for _ in range(3):
            made = [users(data).say() for _ in range(3)]
            for user in made:
                user.end()
        assert eventually(lambda: EmbeddedBroker(data).server_pid() is None)

    def test_processes_see_each_others_data(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            assert run(CLIENT_THAT_JUST_ENDS, data) == ["42"]
            assert client_of(broker).llen("celery") == 2

    def test_the_server_outlives_the_process_that_started_it(self, data: Path, users: Callable[[Path], User]) -> None:
        starter = users(data).say()
        pid = starter.hear()
        with EmbeddedBroker(data) as broker:
            starter.end()
            assert broker.server_pid() == pid
            assert client_of(broker).ping()
        assert eventually(lambda: not is_alive(pid))

    def test_a_user_that_is_killed_does_not_count_any_more(self, data: Path, users: Callable[[Path], User]) -> None:
        killed = users(data).say()
        pid = killed.hear()
        with EmbeddedBroker(data):
            killed.kill()
        assert eventually(lambda: not is_alive(pid))

    def test_a_last_user_that_is_killed_leaves_the_server_to_the_next(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        killed = users(data).say()
        pid = killed.hear()
        killed.kill()
        assert is_alive(pid)
        with EmbeddedBroker(data) as broker:
            assert broker.server_pid() == pid
        assert eventually(lambda: not is_alive(pid))

    def test_an_interrupt_of_the_starter_does_not_reach_the_server(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        starter = users(data).say()
        pid = starter.hear()
        with EmbeddedBroker(data) as broker:
            assert os.getpgid(pid) != os.getpgid(starter.process.pid)
            starter.process.send_signal(signal.SIGINT)
            starter.process.communicate(timeout=DEADLINE_SECONDS)
            assert broker.server_pid() == pid


class TestFork:
    def test_a_child_that_leaves_and_exits_does_not_stop_the_server(self, data: Path) -> None:
        assert run(CHILD_THAT_LEAVES, data) == ["running"]
        assert EmbeddedBroker(data).server_pid() is None

    def test_a_child_that_is_still_there_does_not_keep_its_parent_from_stopping_the_server(self, data: Path) -> None:
        assert run(CHILD_THAT_OUTLIVES, data) == ["stopped"]

    def test_a_child_that_starts_is_a_user_of_its_own(self, data: Path) -> None:
        assert run(CHILD_THAT_STARTS, data) == ["running", "stopped"]

    def test_the_child_of_a_killed_parent_does_not_count(self, data: Path) -> None:
        parent = User(data, PARENT_THAT_IS_KILLED)
        assert parent.process.wait(DEADLINE_SECONDS) == -signal.SIGKILL
        with EmbeddedBroker(data) as broker:
            pid = server_pid(broker)
        assert eventually(lambda: not is_alive(pid))
        parent.process.communicate("\n", timeout=DEADLINE_SECONDS)


def test_an_error_at_exit_is_logged_and_not_raised(
    data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise EmbeddedBrokerError("it does not stop")

    with EmbeddedBroker(data) as broker:
        with monkeypatch.context() as patch:
            patch.setattr(after_exit, "spawn_stopper", fail)
            broker_module._leave_all()
        assert "it does not stop" in caplog.text
        assert broker.shutdown()
