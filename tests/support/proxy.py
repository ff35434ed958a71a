"""A TCP proxy between a worker and a server, that makes the way long or cuts it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 65536


class Proxy:
    """Forwards a free port of this host to a server.

    Args:
        host: Host of the server.
        port: Port of the server.
        delay_seconds: How long each chunk of the server's answers is held back.
    """

    def __init__(self, host: str, port: int, *, delay_seconds: float = 0.0) -> None:
        self.delay_seconds = delay_seconds
        self.accepted = 0
        self.answers = 0
        self.port = 0  # known when it listens
        self._server = (host, port)
        self._open: set[asyncio.StreamWriter] = set()
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Cut what is open, and listen no more."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def cut(self) -> int:
        """Abort every connection, and return how many there were; new ones are let through."""

        async def cut() -> int:
            return self._abort()

        return asyncio.run_coroutine_threadsafe(cut(), self._loop).result()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open) // 2

    def _abort(self) -> int:
        writers, self._open = self._open, set()
        for writer in writers:
            transport: Any = writer.transport
            transport.abort()
        return len(writers) // 2

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._connect(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        self._abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._server)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, there_writer}
        self._open |= ends
        try:
            await asyncio.gather(self._copy(reader, there_writer), self._copy(there_reader, writer, answers=True))
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if answers:
                    self.answers += 1
                    await asyncio.sleep(self.delay_seconds)
                writer.write(data)
                await writer.drain()
            writer.close()


@contextlib.contextmanager
def proxied(url: str, *, delay_seconds: float = 0.0) -> Iterator[tuple[Proxy, str]]:
    """Give a proxy of a server, and the URL that leads through it.

    Args:
        url: URL of the server.
        delay_seconds: As `Proxy`.

    Yields:
        The proxy and the URL.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None, f"{url} is no TCP address"
    assert parts.port is not None, f"{url} names no port"
    proxy = Proxy(parts.hostname, parts.port, delay_seconds=delay_seconds)
    proxy.start()
    user, at, _ = parts.netloc.rpartition("@")
    try:
        yield proxy, urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{proxy.port}"))
    finally:
        proxy.stop()
