"""Instants as words of a command."""

from datetime import datetime

import typer

from ecw_pipeline.errors import BadDataError
from ecw_pipeline.fhir.instants import parse_instant


def instant(text: str) -> datetime:
    """Read an instant, or a day as its first moment."""
    try:
        return parse_instant(text if "T" in text else f"{text}T00:00:00Z")
    except BadDataError as error:
        raise typer.BadParameter(error.message) from error
