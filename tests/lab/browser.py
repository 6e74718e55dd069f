"""A headless Chromium, told by its driver what to do (W3C WebDriver, JSON over HTTP)."""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from tests.lab.errors import LabError
from tests.lab.process import Process
from tests.lab.wait import wait_until

Json = dict[str, Any]

_TIMEOUT: Final = 60.0
_SWITCHES: Final = (
    "--headless",
    "--no-sandbox",  # it would be one of root's
    "--disable-gpu",
    # Nobody is to be asked for anything: there may be no network.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """One window."""

    def __init__(self, port: int, directory: Path) -> None:
        self._port = port
        self._session = ""
        options = {"args": [*_SWITCHES, f"--user-data-dir={directory / 'profile'}"]}
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": logs}
        found = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{found['sessionId']}"

    def open(self, url: str) -> None:
        """Load a page."""
        self._call("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str) -> Any:  # noqa: ANN401 - any JSON
        """Run the body of a function in the page; return what it returns."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def text(self) -> str:
        """Return what a person reads."""
        element = self._call(
            "POST", f"{self._session}/element", {"using": "css selector", "value": "body"}
        )
        (name,) = element.values()
        return str(self._call("GET", f"{self._session}/element/{name}/text"))

    def source(self) -> str:
        """Return the document as it is now, also where it runs no scripts."""
        return str(self._call("GET", f"{self._session}/source"))

    def requests(self) -> set[str]:
        """Return all that was asked for since the last time, but by the browser for itself."""
        found = self._call("POST", f"{self._session}/se/log", {"type": "performance"})
        told = [json.loads(one["message"])["message"] for one in found]
        sent = [one["params"] for one in told if one["method"] == "Network.requestWillBeSent"]
        return {one["request"]["url"] for one in sent if one["documentURL"].startswith("http")}

    def complaints(self) -> list[str]:
        """Return what the browser has written to its console, such as breaches of a policy."""
        found = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [one["message"] for one in found]

    def command(self, name: str, **parameters: object) -> Any:  # noqa: ANN401 - any JSON
        """Give a command of the DevTools' protocol."""
        said = {"cmd": name, "params": parameters}
        return self._call("POST", f"{self._session}/goog/cdp/execute", said)

    def screenshot(self, file: Path) -> None:
        """Write what is to be seen as a PNG."""
        file.write_bytes(b64decode(self._call("GET", f"{self._session}/screenshot")))

    def close(self) -> None:
        """Close the window, and with it the browser."""
        self._call("DELETE", self._session)

    def _call(self, method: str, path: str, body: Json | None = None) -> Any:  # noqa: ANN401
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise LabError(f"the browser: {value['error']}: {value['message']}")
        return value


@contextmanager
def browser(directory: Path) -> Iterator[Browser]:
    """Run a browser, whose files are in a directory."""
    driver = Process(("chromedriver", "--port=0"), log=directory / "driver.log")
    try:
        wait_until(lambda: _port(driver) > 0, timeout=_TIMEOUT, what="the driver listens")
        window = Browser(_port(driver), directory)
        try:
            yield window
        finally:
            window.close()
    finally:
        driver.stop(timeout=10.0)


def _port(driver: Process) -> int:
    _, _, rest = driver.output.partition("started successfully on port ")
    return int(rest.partition(".")[0] or 0)
