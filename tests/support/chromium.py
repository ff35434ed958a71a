"""A headless Chromium, driven over pipes by its own protocol: no port, no driver, no package.

Source: https://chromedevtools.github.io/devtools-protocol/, ``--remote-debugging-pipe``
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60.0
# Chromium reads commands from its file descriptor 3, and writes to 4.
_LAUNCH = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def browser_path() -> str:
    """Return the path of a browser; without one skip the test, or fail it where that must not happen."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return found
    reason = f"there is no browser on the PATH ({', '.join(NAMES)}): install the package chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class Browser:
    """A running browser with one page."""

    process: subprocess.Popen[bytes]
    commands: int
    answers: int
    session: str = ""
    number: int = 0
    buffer: bytes = b""
    events: list[dict[str, Any]] = field(default_factory=list)

    # What a user does

    def open(self, path: Path | str) -> None:
        """Open a file of the disk, or a URL, and wait until all of it is loaded."""
        url = path.as_uri() if isinstance(path, Path) else path
        self.events.clear()
        self.command("Page.navigate", url=url)
        self._wait_for("Page.loadEventFired")

    def press(self, key: str, code: int = 0, text: str = "") -> None:
        """Press a key."""
        told = {"key": key, "windowsVirtualKeyCode": code}
        self.command("Input.dispatchKeyEvent", type="keyDown", **told, **({"text": text} if text else {}))
        self.command("Input.dispatchKeyEvent", type="keyUp", **told)

    def enter(self) -> None:
        self.press("Enter", 13, "\r")

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.command("Input.insertText", text=text)

    def follow(self) -> None:
        """Wait for the page that the last key or click leads to."""
        self._wait_for("Page.loadEventFired")

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        told = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.command("Emulation.setDeviceMetricsOverride", **told)

    def prefer(self, scheme: str) -> None:
        """Have the system prefer ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", features=features)

    # What a test looks at

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript is in the page."""
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    @property
    def requested(self) -> list[str]:
        """URLs that the page asked for since it was opened."""
        self.evaluate("0")
        return [one["params"]["request"]["url"] for one in self.events if one["method"] == "Network.requestWillBeSent"]

    @property
    def complaints(self) -> list[str]:
        """What the console and the browser's log say since the page was opened."""
        self.evaluate("0")
        kinds = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
        return [json.dumps(one["params"]) for one in self.events if one["method"] in kinds]

    def screenshot(self, path: Path) -> None:
        data = self.command("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    # The protocol

    def command(self, method: str, **params: Any) -> Any:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._read(deadline)
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def _wait_for(self, method: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._read(deadline))
        self.events = [event for event in self.events if event.get("method") != method]

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            ready = select.select([self.answers], [], [], max(left, 0))[0]
            assert ready, "the browser does not answer"
            chunk = os.read(self.answers, 1 << 16)
            assert chunk, f"the browser has ended with status {self.process.wait()}"
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found


@contextlib.contextmanager
def running_browser(folder: Path) -> Iterator[Browser]:
    """Have a browser, with its profile in a folder, until the end of the block."""
    path = browser_path()
    theirs_in, commands = os.pipe()
    answers, theirs_out = os.pipe()
    options = [
        "--headless=new",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder / 'profile'}",
        "--no-first-run",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        # Its sandbox needs a user of its own; what it opens is written by the tests.
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), path, *options, "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    os.close(theirs_in)
    os.close(theirs_out)
    browser = Browser(process, commands, answers)
    try:
        target = browser.command("Target.createTarget", url="about:blank")["targetId"]
        browser.session = browser.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            browser.command(f"{domain}.enable")
        yield browser
    finally:
        os.close(commands)
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(answers)
