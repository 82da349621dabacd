"""httpx: one client, GET and POST; arguments: the URL of a token, the URL to post to."""

import os
import ssl
import sys

import httpx

context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
with httpx.Client(verify=context, timeout=20) as client:
    for _ in range(3):
        answer = client.get(sys.argv[1])
        answer.raise_for_status()
        print(answer.text)
    posted = client.post(sys.argv[2], content=(b"piece" for _ in range(1000)))
    print(posted.text.split()[0])
