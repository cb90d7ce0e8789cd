"""One server with odd habits for all tests of a file."""

from collections.abc import Iterator

import pytest

from ecw_pipeline_tests.odd_server import OddServer, odd_server, raw


@pytest.fixture(scope="module")
def odd() -> Iterator[OddServer]:
    """It gives every token it is asked for: ``abc``."""
    with odd_server() as running:
        smart = f'{{"token_endpoint": "{running.url}/token"}}'
        running.answers("/r4/.well-known/smart-configuration", raw(200, smart.encode()))
        running.answers("/token", raw(200, b'{"access_token": "abc"}'))
        yield running
