"""One sandbox shared by the tests that only read it."""

from collections.abc import Iterator

import pytest

from ecw_pipeline_tests.sandbox.harness import Visitor, quick, visiting

# As long as any run of the tests that share a token.
TOKEN_SECONDS = 86_400


@pytest.fixture(scope="session")
def visitor() -> Iterator[Visitor]:
    """A signed-in visitor of a twelve-patient sandbox at which no time passes."""
    with visiting(quick(lines_per_file=200, token_seconds=TOKEN_SECONDS)) as someone:
        yield someone.sign_in()


@pytest.fixture(scope="session")
def hostile() -> Iterator[Visitor]:
    """A visitor of a sandbox that has the faults each test chooses (see `suffering`)."""
    with visiting(quick(patients=6, token_seconds=TOKEN_SECONDS)) as someone:
        yield someone
