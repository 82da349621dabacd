"""requests: one session, GET and POST; arguments: the URL of a token, the URL to post to."""

import sys

import requests

with requests.Session() as session:
    for _ in range(3):
        answer = session.get(sys.argv[1], timeout=20)
        answer.raise_for_status()
        print(answer.text)
    posted = session.post(sys.argv[2], data=(b"piece" for _ in range(1000)), timeout=20)
    print(posted.text.split()[0])
