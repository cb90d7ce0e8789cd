"""The cookies of a connection, kept for its next session: gateways route by them.

A node of a server may know its own exports only; who forgets the cookie is told that there is
no such export.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from ecw_pipeline.files import write_json


@contextmanager
def kept_cookies(path: Path) -> Iterator[httpx.Cookies]:
    """The cookies of the session before, and what this one makes of them, in a 0600 file."""
    known = _read(path)
    cookies = httpx.Cookies()
    for cookie in known:
        cookies.set(*cookie)
    try:
        yield cookies
    finally:
        now = [[one.name, one.value or "", one.domain, one.path] for one in cookies.jar]
        if now != known:
            write_json(path, now)


def _read(path: Path) -> list[list[str]]:
    """What was kept; a file that makes no sense is as good as none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [
            [str(part) for part in (name, value, domain, at)] for name, value, domain, at in found
        ]
    except (OSError, ValueError, TypeError):
        return []
