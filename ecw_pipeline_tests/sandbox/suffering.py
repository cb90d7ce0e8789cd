"""A visitor of a sandbox whose faults a test chooses."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from ecw_pipeline_tests.sandbox.harness import Visitor

PACKED = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}


def set_faults(visitor: Visitor, faults: dict[str, Any]) -> None:
    """Have these and no others, by the control route."""
    reply = visitor.http.post(f"{visitor.server_url}/sandbox/faults", json=faults)
    assert reply.status_code == 204, reply.text


@contextmanager
def suffering(visitor: Visitor, faults: dict[str, Any]) -> Iterator[Visitor]:
    """The visitor, signed in before the faults begin; they end with the block."""
    set_faults(visitor, {})
    visitor.http.cookies.clear()
    visitor.sign_in()
    set_faults(visitor, faults)
    try:
        yield visitor
    finally:
        set_faults(visitor, {})


def fetched(visitor: Visitor, url: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """A file's reply and its bytes as they came; a broken connection raises what httpx says."""
    request = {**visitor.headers, **headers}
    with visitor.http.stream("GET", url, headers=request) as reply:
        return reply, b"".join(reply.iter_raw())


def plain_lines(visitor: Visitor, url: str) -> list[bytes]:
    """The lines of a file; packed and plain are the same."""
    packed, plain = fetched(visitor, url, **PACKED)[1], fetched(visitor, url, **PLAIN)[1]
    assert gzip.decompress(packed) == plain
    return plain.splitlines(keepends=True)


def only_file(manifest: dict[str, Any]) -> str:
    """The URL of the one file of an export."""
    (item,) = manifest["output"]
    return str(item["url"])


def resources(lines: list[bytes]) -> list[Any]:
    return [json.loads(line) for line in lines]
