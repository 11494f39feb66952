"""A headless Chromium spoken to over a pair of pipes (DevTools protocol): real pointers, real keys, pictures."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_SECONDS = 60.0
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)


class Page:
    """One tab."""

    def __init__(self, wanted: int, answers: int) -> None:
        self._wanted, self._answers = wanted, answers
        self._number, self._session, self._rest = 0, "", b""
        self.complaints: list[str] = []

    def start(self, width: int, height: int, *, is_dark: bool) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def resize(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, path: Path, fragment: str = "") -> None:
        self.call("Page.navigate", url=path.as_uri() + fragment)
        self.wait("document.readyState === 'complete' && !!window.Plotly")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._wanted, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self._next(deadline)
            self._note(answer)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])

    def run(self, expression: str) -> Any:
        """Value of a JavaScript expression; promises are waited for."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The value once it is true of the page."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (value := self.run(f"new Promise((go) => setTimeout(() => go({expression}), 20))")):
            assert time.monotonic() < deadline, f"never true: {expression}"
        return value

    def show(self, selector: str) -> None:
        """Scrolls an element into view and waits until its figure, if it is one, is drawn."""
        self.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        self.wait(f"(({JS_SETTLED})({json.dumps(selector)}))")

    def move(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x: float, y: float) -> None:
        self.move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def middle(self, expression: str) -> tuple[float, float]:
        """Where the middle of an element is."""
        x, y = self.run(
            f"((box) => [box.x + box.width / 2, box.y + box.height / 2])({expression}.getBoundingClientRect())"
        )
        return float(x), float(y)

    def picture(self, path: Path, *, is_whole: bool = False) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser is gone"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in {"error", "warning"}:
            self.complaints.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(parameters["entry"]["text"])


KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "Escape": 27, "End": 35}
JS_SETTLED = """(selector) => {
  const place = document.querySelector(selector);
  return !place.dataset.figure || place.classList.contains("js-plotly-plot") && !!place.querySelector(".main-svg");
}"""


@contextmanager
def browser_page(folder: Path, *, width: int = 1280, height: int = 900, is_dark: bool = False) -> Iterator[Page]:
    """A tab of a browser of its own, which ends with the context."""
    to_child, wanted = os.pipe()
    answers, from_child = os.pipe()
    # Chromium reads from 3 and writes to 4; our ends must not be where these are put.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (to_child, from_child)]
    actions = [(os.POSIX_SPAWN_DUP2, ends[0], 3), (os.POSIX_SPAWN_DUP2, ends[1], 4)]
    actions += [(os.POSIX_SPAWN_OPEN, 2, str(folder / "browser.log"), os.O_WRONLY | os.O_CREAT, 0o600)]  # type: ignore[list-item]
    arguments = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={folder / 'browser'}"]
    process = os.posix_spawn(str(CHROMIUM), arguments, os.environ, file_actions=actions, setpgroup=0)
    for end in (to_child, from_child, *ends):
        os.close(end)
    try:
        page = Page(wanted, answers)
        page.start(width, height, is_dark=is_dark)
        yield page
    finally:
        os.close(wanted)
        os.close(answers)
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
