"""aiohttp: a hundred requests at once; argument: the URL of a token."""

import asyncio
import os
import ssl
import sys

import aiohttp


async def get(session: aiohttp.ClientSession, context: ssl.SSLContext, url: str) -> str:
    async with session.get(url, ssl=context) as answer:
        answer.raise_for_status()
        return await answer.text()


async def get_all(url: str) -> None:
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    async with aiohttp.ClientSession(trust_env=True, timeout=aiohttp.ClientTimeout(40)) as session:
        for text in await asyncio.gather(*(get(session, context, url) for _ in range(100))):
            print(text)


asyncio.run(get_all(sys.argv[1]))
