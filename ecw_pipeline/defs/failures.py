"""Our errors as Dagster failures: in words, with the next step, and retried only where it helps."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from ecw_pipeline.errors import EcwError, TemporaryError

# Run retries cover crashes only; what is temporary at the server is retried by the step.
RETRIES = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL)


@contextmanager
def spoken_failures() -> Iterator[None]:
    """Pass our errors on as failures without a traceback of our own code."""
    try:
        yield
    except EcwError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"next_step": error.next_step or "none known"},
            allow_retries=isinstance(error, TemporaryError),
        ) from None


def first_error(errors: list[EcwError]) -> None:
    """Raise what went wrong for some connections, after the others had their turn.

    Raises:
        EcwError: the first error; it says how many more there were.
    """
    if errors:
        first = errors[0]
        if len(errors) > 1:
            first.message = f"{first.message} (and {len(errors) - 1} more connections failed)"
        raise first
