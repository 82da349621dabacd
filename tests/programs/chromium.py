"""Chromium without a window, led through its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--ignore-certificate-errors",
    "--remote-debugging-port=0",
    "--window-size=900,700",
    # Chromium goes straight to its own machine otherwise.
    "--proxy-bypass-list=<-loopback>",
)

START_SECONDS = 60.0
LOAD_SECONDS = 60.0
LOOK_SECONDS = 0.05
# After so many questions a person with a wrong password gives up.
MAX_ASKED = 3


class Page:
    """
    One tab.

    :ivar asked: how often the proxy asked for credentials.
    """

    def __init__(self, send: Callable[..., Awaitable[Any]]) -> None:
        self._send = send
        self.asked = 0

    async def open(self, url: str) -> str:
        """Go to a URL and wait until it is there; gives the error that Chromium shows, or nothing."""
        answer = await self._send("Page.navigate", {"url": url})
        if "errorText" in answer:
            return str(answer["errorText"])
        await self.until("document.readyState === 'complete' && document.title !== 'loading'")
        return ""

    async def until(self, expression: str) -> None:
        """Wait until an expression is true on the page."""
        async with asyncio.timeout(LOAD_SECONDS):
            while not await self.value(expression):
                await asyncio.sleep(LOOK_SECONDS)

    async def value(self, expression: str) -> Any:
        """What an expression is on the page."""
        answer = await self._send("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        return answer["result"].get("value")

    async def text(self) -> str:
        """The words on the page."""
        return str(await self.value("document.body.innerText"))

    async def picture(self, file: Path) -> None:
        """Write what the page looks like, as PNG."""
        answer = await self._send("Page.captureScreenshot", {"format": "png"})
        file.write_bytes(base64.b64decode(answer["data"]))


class Browser:
    """The browser's end of the protocol: commands with answers, and the events that need one."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, name: str, password: str) -> None:
        self._socket = socket
        self._credentials = {"username": name, "password": password}
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._pages: dict[str, Page] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def read(self) -> None:
        """Take what the browser says, until it ends."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answered(said)
            else:
                self._happened(said.get("sessionId", ""), said["method"], said["params"])

    def _answered(self, said: dict[str, Any]) -> None:
        waiting = self._waiting.pop(said["id"])
        if waiting.done():
            return
        if "error" in said:
            waiting.set_exception(RuntimeError(said["error"]["message"]))
        else:
            waiting.set_result(said["result"])

    def _happened(self, session: str, method: str, told: dict[str, Any]) -> None:
        if method == "Fetch.requestPaused":
            self._soon(session, "Fetch.continueRequest", {"requestId": told["requestId"]})
        elif method == "Fetch.authRequired":
            page = self._pages[session]
            page.asked += 1
            answer: dict[str, str] = {"response": "CancelAuth"}
            if told["authChallenge"].get("source") == "Proxy" and page.asked <= MAX_ASKED:
                answer = {"response": "ProvideCredentials", **self._credentials}
            self._soon(
                session,
                "Fetch.continueWithAuth",
                {"requestId": told["requestId"], "authChallengeResponse": answer},
            )

    def _soon(self, session: str, method: str, words: dict[str, Any]) -> None:
        async def say() -> None:
            # The page may have gone elsewhere in the meantime.
            with contextlib.suppress(RuntimeError):
                await self.send(method, words, session)

        task = asyncio.ensure_future(say())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def send(self, method: str, words: dict[str, Any] | None = None, session: str = "") -> Any:
        """Give a command and wait for its answer."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        command = {"id": number, "method": method, "params": words or {}}
        await self._socket.send_json({**command, "sessionId": session} if session else command)
        async with asyncio.timeout(LOAD_SECONDS):
            return await self._waiting[number]

    async def page(self) -> Page:
        """Open a tab."""
        target = await self.send("Target.createTarget", {"url": "about:blank"})
        attached = await self.send("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
        session = attached["sessionId"]
        page = self._pages[session] = Page(lambda method, words=None: self.send(method, words, session))
        await self.send("Page.enable", session=session)
        await self.send("Fetch.enable", {"handleAuthRequests": True}, session)
        return page


@contextlib.asynccontextmanager
async def chromium(folder: Path, pac: str, name: str = "", password: str = "") -> AsyncIterator[Browser]:
    """
    Start Chromium with a PAC file and nothing that it remembers; it ends with the block.

    ``name`` and ``password`` are what the person types when the proxy asks.
    """
    profile = folder / "profile"
    process = await asyncio.create_subprocess_exec(
        "chromium",
        *FLAGS,
        f"--proxy-pac-url={pac}",
        f"--user-data-dir={profile}",
        "about:blank",
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "en_GB.UTF-8", "LANGUAGE": "en_GB"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        address = await _address(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
            browser = Browser(socket, name, password)
            reading = asyncio.ensure_future(browser.read())
            yield browser
            reading.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _address(file: Path) -> str:
    """Where the browser listens for commands; it writes that into a file when it does."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            lines = file.read_text().splitlines() if file.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            await asyncio.sleep(LOOK_SECONDS)
