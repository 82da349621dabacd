"""
Telling: what is said of buckets to those who share their rates out between processes.

Most buckets are idle most of the time: of these nothing is said but once.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import NamedTuple

from corpproxy.accounting.buckets import Bucket
from corpproxy.accounting.dividing import SLICE, Pauses, drained
from corpproxy.accounting.sharing import BucketKey, Wanted


class News(NamedTuple):
    """What is to be said of buckets otherwise than it was said before, and which of them are gone."""

    wanted: dict[BucketKey, Wanted]
    gone: list[BucketKey]


def changed(
    buckets: Mapping[BucketKey, Bucket], seconds: float, pauses: Pauses
) -> Generator[None, None, dict[BucketKey, Wanted]]:
    """
    What was taken of buckets in so many seconds, where that is something else than was told of them before.

    It is put together a slice at each step, and forgotten.
    """
    found: dict[BucketKey, Wanted] = {}
    # What is told of many idle buckets is the same.
    common: dict[Wanted, Wanted] = {}
    for key in drained(list(buckets)):
        # While others had their turn it may have gone.
        bucket = buckets.get(key)
        if bucket is not None:
            told = bucket.told
            wanted = yield from _wanted(bucket, seconds, pauses)
            if wanted != told:
                bucket.told = found[key] = common.setdefault(wanted, wanted) if not wanted.drawn else wanted
        if pauses.is_due():
            yield
    return found


def _wanted(bucket: Bucket, seconds: float, pauses: Pauses) -> Generator[None, None, Wanted]:
    drawn, eager = bucket.drawn, bucket.eager
    if len(drawn) > SLICE:
        return (yield from _wanted_by_many(bucket, seconds, pauses))
    octets, content = sum(drawn.values()), len(drawn.keys() - eager) if drawn else 0
    wanted = Wanted(bucket.whole, bucket.rate, octets / seconds, content, tuple(eager))
    bucket.begin_anew()
    return wanted


def _wanted_by_many(bucket: Bucket, seconds: float, pauses: Pauses) -> Generator[None, None, Wanted]:
    """What was taken of a bucket, which thousands may have done; it begins anew with the first step."""
    whole, has, drawn, eager = bucket.whole, bucket.rate, bucket.drawn, bucket.eager
    bucket.drawn, bucket.eager = {}, set()
    octets = content = 0
    for person, some in drawn.items():
        octets += some
        content += person not in eager
        if pauses.is_due():
            yield
    return Wanted(whole, has, octets / seconds, content, tuple(eager))
