"""A browser without a window, spoken to through two pipes, and the pictures of a report it takes.

``python tests/browser.py reports/latest/index.html reports/baseline`` writes ``report.png`` (desktop), ``report-phone.png``,
``report-dark.png`` and ``report-print.png`` (the first printed page). Chromium is looked for under its usual names, or is what the
environment variable ``CHROMIUM`` names. Nothing is fetched: pages come from files.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Width, height, colours and medium of the pictures; print is a sheet of A4.
VIEWS = {
    "desktop": (1280, 1000, "light", "screen"),
    "phone": (390, 844, "light", "screen"),
    "dark": (1280, 1000, "dark", "screen"),
    "print": (794, 1123, "light", "print"),
}
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars", "--remote-debugging-pipe")  # fmt: skip
#: Seconds without a word after which a browser counts as stuck.
PATIENCE = 120
#: Chromium reads commands from descriptor 3 and writes answers to 4: this puts the pipes there and becomes the browser.
_LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium() -> str | None:
    """The path of a Chromium; None where there is none."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


class Browser:
    """One page of a browser, as a context manager."""

    def __init__(self, program: str) -> None:
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (read, self.out), (self.back, write) = os.pipe(), os.pipe()
        launch = [sys.executable, "-c", _LAUNCH, str(read), str(write), program]
        self.process = subprocess.Popen(
            [*launch, *OPTIONS, f"--user-data-dir={self.folder.name}", "about:blank"],
            pass_fds=(read, write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read), os.close(write)
        self.rest, self.sent, self.session = b"", 0, None
        (page,) = [t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self.session = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        self("Page.enable")
        self(
            "Page.setBypassCSP", enabled=True
        )  # the policy of a report forbids all scripts, also those that examine it

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data) :]
        while (answer := self._next()).get("id") != self.sent:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.back], [], [], PATIENCE)
            data = os.read(self.back, 1 << 20) if ready else b""
            if not data:
                why = "has gone" if ready else f"has said nothing for {PATIENCE} s"
                raise RuntimeError(f"the browser {why}; can it be started by hand with --headless --no-sandbox?")
            self.rest += data
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)

    def show(self, file: Path, width: int, height: int, scheme: str, medium: str) -> None:
        """Open a file in a window of a size, with a colour scheme, for a medium."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self("Emulation.setEmulatedMedia", media=medium, features=features)
        self("Page.navigate", url=file.resolve().as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def run(self, script: str) -> Any:
        """The value of an expression, waited for if it is a promise."""
        answer = self("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script[:80]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def picture(self, *, whole: bool = False) -> bytes:
        """What is seen, or the whole page, as PNG."""
        return base64.b64decode(self("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"])

    def printed(self) -> bytes:
        """The page on paper, as PDF."""
        return base64.b64decode(self("Page.printToPDF", preferCSSPageSize=True)["data"])

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.close(self.out), os.close(self.back)
        finally:
            self.process.kill()
            self.process.wait()
            self.folder.cleanup()


def pictures(page: Path, folder: Path, views: Sequence[str] = tuple(VIEWS)) -> list[Path]:
    """Pictures of a page as it opens; the paths written."""
    program = chromium()
    if program is None:
        raise SystemExit("no Chromium found: install one, or name it in the environment variable CHROMIUM.")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with Browser(program) as browser:
        for name in views:
            browser.show(page, *VIEWS[name])
            if name == "print":
                browser.run("document.body.style.padding = '15mm'")  # the margins of a sheet are not the page's
            written.append(folder / ("report.png" if name == "desktop" else f"report-{name}.png"))
            written[-1].write_bytes(browser.picture())
    return written


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python tests/browser.py PAGE FOLDER")
    for path in pictures(Path(sys.argv[1]), Path(sys.argv[2])):
        print(path)
