"""Our errors as Dagster failures: in words, with the next step, and retried only where it helps."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb

from ecw_pipeline.errors import EcwError, TemporaryError
from ecw_pipeline.warehouse.database import engine_error

# Run retries cover crashes only; what is temporary at the server is retried by the step.
MOST_STEP_RETRIES = 2
FIRST_WAIT_SECONDS = 30.0


@contextmanager
def spoken_failures(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Pass our errors on as failures in words; wait and repeat the step where that helps."""
    try:
        yield
    except TemporaryError as error:
        if context.retry_number >= MOST_STEP_RETRIES:
            raise failure(error) from None
        wait = error.retry_after_seconds or FIRST_WAIT_SECONDS * 2**context.retry_number
        context.log.warning(f"{error}; repeating in {wait:g} s")
        raise dg.RetryRequested(MOST_STEP_RETRIES, seconds_to_wait=wait) from error
    except EcwError as error:
        raise failure(error) from None
    except duckdb.Error as error:
        raise failure(engine_error(error)) from None


def failure(error: EcwError) -> dg.Failure:
    """The error's words, without a traceback of our own code."""
    return dg.Failure(
        description=str(error),
        metadata={"next_step": error.next_step or "none known", "exit_code": error.exit_code},
    )
