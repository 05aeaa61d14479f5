"""A headless Chromium, driven by the DevTools protocol over a pipe: open a page, ask it, point at it, picture it.

A pipe (`--remote-debugging-pipe`: NUL-ended JSON on the descriptors 3 and 4) needs no driver, no port and no package.
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET_S = 0.5
WATCH = """
window.__longTasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.__longTasks.push(entry.startTime + entry.duration);
}).observe({ type: "longtask", buffered: true });
"""


class BrowserError(Exception):
    """The browser did not do what was asked."""


def chromium() -> str | None:
    """The browser's program: $CHROMIUM, or the first of the usual names on the path; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One browser process with one tab. `console` holds what the page logged as warnings and errors."""

    def __init__(self, width: int = 1280, height: int = 900):
        program = chromium()
        if program is None:
            raise BrowserError(f"no Chromium: expected one of {', '.join(NAMES)} on the path, or $CHROMIUM")
        self.width, self.height = width, height
        self.console: list[str] = []
        self._count, self._held = 0, b""
        self._profile = tempfile.mkdtemp(prefix="coevo-browser-")
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # The descriptors must be 3 and 4 in the browser; a shell moves them there, so that no code runs after fork.
        moved = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--no-first-run",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--disable-gpu",
            f"--window-size={width},{height}",
            f"--user-data-dir={self._profile}",
            "--remote-debugging-pipe",
            "about:blank",
        ]
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", moved, program, *flags],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._session: str | None = None
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self) -> None:
        pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        target = pages[0]["targetId"] if pages else self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.resize(self.width, self.height)

    def call(self, method: str, timeout_s: float = 60.0, **params: Any) -> dict[str, Any]:
        """The result of one command of the protocol."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session is not None and not method.startswith("Target."):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self._next(deadline, method)
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                result: dict[str, Any] = answer["result"]
                return result
            self._heard(answer)

    def _next(self, deadline: float, awaited: str) -> dict[str, Any]:
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._read], [], [], max(deadline - time.monotonic(), 0.0))
            if not ready:
                raise BrowserError(f"{awaited}: no answer in time")
            chunk = os.read(self._read, 1 << 20)
            if not chunk:
                raise BrowserError(f"{awaited}: the browser went away")
            self._held += chunk
        text, _, self._held = self._held.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found

    def _heard(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.console.append(str(details.get("exception", {}).get("description") or details.get("text")))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.console.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.console.append(str(params["entry"]["text"]))

    def open(self, page: Path | str, ready: str = "true", timeout_s: float = 60.0) -> float:
        """Loads a file and waits until the script `ready` is true there; seconds from the start of the navigation
        until then, by the page's own clock."""
        self.console.clear()
        address = page if isinstance(page, str) else page.resolve().as_uri()
        problem = self.call("Page.navigate", timeout_s, url=address).get("errorText")
        if problem:
            raise BrowserError(f"{address}: {problem}")
        self.wait(ready, timeout_s)
        return float(self.ask("performance.now()")) / 1000

    def interactive_s(self) -> float:
        """Seconds from the start of the navigation until the main thread was free: the end of the last task over
        50 ms, once none has come for half a second. Call it right after `open`."""
        while True:
            last, now = self.ask("[Math.max(0, ...window.__longTasks), performance.now()]")
            if now - last >= QUIET_S * 1000:
                return float(last) / 1000
            time.sleep(0.05)

    def ask(self, script: str, timeout_s: float = 60.0) -> Any:
        """The value of a script in the page, awaited where it is a promise."""
        found = self.call(
            "Runtime.evaluate", timeout_s, expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise BrowserError(f"{script}: {details.get('exception', {}).get('description') or details.get('text')}")
        return found["result"].get("value")

    def wait(self, condition: str, timeout_s: float = 30.0) -> None:
        """Until a script is true."""
        deadline = time.monotonic() + timeout_s
        while not self.ask(f"Boolean({condition})", timeout_s):
            if time.monotonic() > deadline:
                raise BrowserError(f"not within {timeout_s:g} s: {condition} (console: {self.console})")
            time.sleep(0.02)

    def resize(self, width: int, height: int, mobile: bool = False) -> None:
        """Another size of the window, in CSS pixels."""
        self.width, self.height = width, height
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def prefer(self, scheme: str) -> None:
        """What the reader's system prefers: "light" or "dark"."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def point(self, x: float, y: float) -> None:
        """Moves the mouse there, in two steps as a hand does."""
        for dx in (3, 0):
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + dx, y=y)

    def click(self, x: float, y: float) -> None:
        """Presses and lets go the left button."""
        self.point(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Writes into what has the focus."""
        self.call("Input.insertText", text=text)

    def picture(self, path: Path, whole: bool = False) -> Path:
        """A PNG of what the window shows, or of the whole page."""
        clip: dict[str, Any] = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {"x": 0, "y": 0, "width": self.width, "height": size["height"], "scale": 1}}
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **clip)
        path.write_bytes(base64.b64decode(found["data"]))
        return path

    def close(self) -> None:
        """Ends the browser and every process that it started; may be called twice."""
        for descriptor in (self._write, self._read):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        if self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(3)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


@contextlib.contextmanager
def opened(page: Path, ready: str = "true", width: int = 1280, height: int = 900) -> Iterator[Browser]:
    """A browser with a page in it."""
    with Browser(width, height) as browser:
        browser.open(page, ready)
        yield browser
