"""aiohttp: a WebSocket; arguments: its URL, the URL of the proxy, the authority's certificate."""

import asyncio
import ssl
import sys

import aiohttp


async def talk(url: str, proxy: str, authority: str) -> None:
    context = ssl.create_default_context(cafile=authority)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, proxy=proxy, ssl=context) as socket,
    ):
        for number in range(100):
            await socket.send_str(f"number {number}")
            print(await socket.receive_str(timeout=20))


asyncio.run(talk(*sys.argv[1:]))
