"""A browser without a window, driven through its debugging pipe: nothing to install but Chromium."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_TIMEOUT = 60.0


def find_browser() -> str | None:
    """The path of Chromium or Chrome; None if there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab.

    Attributes:
        errors: What the console was told as an error, and exceptions.
        requests: The addresses that the open page has asked for, but for those that hold their data themselves.
    """

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = to_browser, from_browser
        self._ids = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        self._loaded = False
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._in, 1 << 20)
            assert part, "the browser has gone"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(str(params["args"]))
        elif method == "Network.requestWillBeSent" and not params["request"]["url"].startswith("data:"):
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loaded = True

    def open(self, what: Path | str, width: int = 1000, height: int = 1200) -> float:
        """Opens a file or an address and returns how many seconds it took until it was loaded and drawn."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._loaded = False
        self.requests.clear()
        began = time.monotonic()
        self.send("Page.navigate", url=what if isinstance(what, str) else what.absolute().as_uri())
        while not self._loaded:
            assert time.monotonic() < began + _TIMEOUT, "the page did not load"
            self._receive()
        drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
        self.value(drawn)
        return time.monotonic() - began

    def value(self, expression: str) -> Any:
        """What an expression is in the page."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, expression: str, seconds: float = _TIMEOUT) -> None:
        """Waits until an expression is true in the page."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"never came true: {expression}"
            time.sleep(0.2)

    def mouse(self, kind: str, x: float, y: float, **params: Any) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **params)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        taken = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def pdf(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"]))


@contextmanager
def browser(*, script: bool = True) -> Iterator[Page]:
    """A page of a new browser.

    Args:
        script: Whether pages may run scripts.
    """
    program = find_browser()
    assert program is not None
    profile = tempfile.mkdtemp(prefix="parity-lightning-browser-")
    to_browser, out = os.pipe()
    back, from_browser = os.pipe()
    # The pipe must be its descriptors 3 and 4.
    command = [
        *("bash", "-c", f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"', "browser", program, "--headless"),
        *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--hide-scrollbars"),
        *("--remote-debugging-pipe", f"--user-data-dir={profile}"),
    ]
    process = subprocess.Popen(command, pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL)
    os.close(to_browser)
    os.close(from_browser)
    try:
        page = Page(out, back)
        if not script:
            page.send("Emulation.setScriptExecutionDisabled", value=True)
        yield page
    finally:
        os.close(out)
        os.close(back)
        process.terminate()
        process.wait(30)
        shutil.rmtree(profile, ignore_errors=True)
