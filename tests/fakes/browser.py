"""Headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    """The browser of this machine."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Page:
    """One open page."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._count = socket, 0

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the protocol."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.receive())
            if answer.get("id") == self._count:
                assert "error" not in answer, answer["error"]
                found: dict[str, Any] = answer["result"]
                return found

    def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        done = self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, script: str, seconds: float = 30.0) -> Any:
        """The value of an expression once it is true."""
        end = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"not in {seconds:g} s: {script}\n{self.run('document.body.innerText')}"
            time.sleep(0.05)
        return found

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key that gives ``text``."""
        for kind, typed in (("keyDown", {"text": text} if text else {}), ("keyUp", {})):
            self.command("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **typed)

    def picture(self, path: Path) -> None:
        """A picture of what the window shows."""
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot")["data"]))


class _Socket:
    """A web socket without an event loop of one's own (Tornado, which ipykernel brings)."""

    def __init__(self, address: str) -> None:
        import asyncio

        from tornado.websocket import websocket_connect

        self._loop = asyncio.new_event_loop()

        async def connect() -> Any:
            return await websocket_connect(address, max_message_size=2**28)

        self._connection = self._loop.run_until_complete(connect())

    def send(self, text: str) -> None:
        async def write() -> None:
            await self._connection.write_message(text)

        self._loop.run_until_complete(write())

    def receive(self) -> str:
        async def read() -> Any:
            return await self._connection.read_message()

        found = self._loop.run_until_complete(read())
        assert found is not None, "the browser closed the connection"
        return str(found)

    def close(self) -> None:
        self._connection.close()
        self._loop.close()


@contextlib.contextmanager
def opened(browser: str, address: str, profile: Path, *, size: str = "1300,1050") -> Iterator[Page]:
    """A page in a browser of its own, which ends with the block."""
    import urllib.request

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--window-size={size}"]
    command = [browser, *flags, f"--user-data-dir={profile}", address]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told = profile / "DevToolsActivePort"
        end = time.monotonic() + 60.0
        while not (told.exists() and told.read_text().strip()):
            assert process.poll() is None and time.monotonic() < end, "the browser did not start"
            time.sleep(0.05)
        port = told.read_text().split()[0]
        targets: list[Any] = []
        while not targets:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=30.0) as answer:
                targets = [target for target in json.load(answer) if target["type"] == "page"]
        socket = _Socket(targets[0]["webSocketDebuggerUrl"])
        try:
            yield Page(socket)
        finally:
            socket.close()
    finally:
        process.terminate()
        try:
            process.wait(30.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
