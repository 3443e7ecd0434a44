"""A headless chromium, driven by the DevTools protocol: opens a page, asks it questions, takes its picture."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import websocket

#: Seconds after which a browser that does not answer has failed.
TIMEOUT = 30.0
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def find_chromium() -> str | None:
    """The browser's program, if this machine has one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Browser:
    """One chromium with a profile of its own, to be used as a context; every page is a tab of it.

    Args:
        program: What :func:`find_chromium` found.
    """

    def __init__(self, program: str) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [program, *_SWITCHES, f"--user-data-dir={self._profile.name}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._port = self._wait_for_port()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait_for_port(self) -> int:
        announced = Path(self._profile.name, "DevToolsActivePort")
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            if announced.exists() and (lines := announced.read_text().split()):
                return int(lines[0])
            time.sleep(0.02)
        self.close()
        raise RuntimeError("chromium did not start")

    def open_page(self, url: str | Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """A tab that has loaded ``url`` (an address, or a file's path)."""
        page = Page(self._new_tab())
        try:
            page.resize(width, height)
            page.prefer(dark=dark)
            page.go(url.resolve().as_uri() if isinstance(url, Path) else url)
        except BaseException:
            with suppress(RuntimeError):  # what went wrong before says more
                page.close()
            raise
        return page

    def _new_tab(self) -> str:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        with closing(connection):
            connection.request("PUT", "/json/new?about:blank")
            return str(json.load(connection.getresponse())["webSocketDebuggerUrl"])

    def close(self) -> None:
        """End the browser and all its processes, and remove its profile."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=TIMEOUT)
        self._profile.cleanup()


class Page:
    """One tab, to be used as a context.

    Attributes:
        console_errors: What the page logged as an error, and what it threw.
        requests: Addresses that it asked for, in order.
    """

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=TIMEOUT, suppress_origin=True)
        self._serial = 0
        self._loaded = False
        self.console_errors: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the tab."""
        self.call("Page.close")
        self._socket.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its result; events on the way are noted."""
        self._serial += 1
        self._socket.send(json.dumps({"id": self._serial, "method": method, "params": parameters}))
        while True:
            message = self._receive(TIMEOUT)
            if message.get("id") == self._serial:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result

    def _receive(self, timeout: float) -> dict[str, Any]:
        self._socket.settimeout(max(timeout, 0.001))
        message: dict[str, Any] = json.loads(self._socket.recv())
        event, facts = message.get("method"), message.get("params", {})
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])
        elif event == "Log.entryAdded" and facts["entry"]["level"] == "error":
            self.console_errors.append(facts["entry"]["text"])
        elif event == "Runtime.exceptionThrown":
            self.console_errors.append(_thrown(facts["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and facts["type"] in ("error", "assert"):
            words = (str(a.get("value", a.get("description", ""))) for a in facts["args"])
            self.console_errors.append(" ".join(words))
        return message

    def go(self, url: str) -> None:
        """Load another address; returns when it and all that belongs to it are there."""
        self._loaded = False
        if failure := self.call("Page.navigate", url=url).get("errorText"):
            raise RuntimeError(f"{url}: {failure}")
        deadline = time.monotonic() + TIMEOUT
        while not self._loaded:
            self._receive(deadline - time.monotonic())

    def resize(self, width: int, height: int, *, scale: float = 1) -> None:
        """The window in CSS pixels, ``scale`` device pixels each; what is narrower than 600 is a phone."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    def prefer(self, *, dark: bool = False, media: str = "") -> None:
        """What the page's media queries find; without ``media`` the screen, or paper where it is printed."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression, a promise's once it is there."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(_thrown(found["exceptionDetails"]))
        return found["result"].get("value")

    def wait_for(self, script: str, *, timeout: float = TIMEOUT) -> Any:
        """The value of an expression as soon as it is true."""
        deadline = time.monotonic() + timeout
        while not (value := self.evaluate(script)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not true after {timeout:g} s: {script}; errors: {self.console_errors}")
            time.sleep(0.02)
        return value

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the whole page, or of the window."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def print_pdf(self, path: Path) -> None:
        """What a printer would get, A4."""
        sheet = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)
        path.write_bytes(base64.b64decode(sheet["data"]))


def _thrown(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])
