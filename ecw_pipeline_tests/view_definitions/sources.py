"""Resources to try the built-in tables with: made up by the sandbox, and real ones."""

import gzip
import json
from collections import defaultdict
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from ecw_pipeline.sandbox.config import SandboxConfig
from ecw_pipeline.sandbox.population.world import RESOURCE_TYPES, Population
from ecw_pipeline.sandbox.source import Selection

Resources = list[dict[str, Any]]


@cache
def population() -> dict[str, Resources]:
    """Sixty made-up patients and their practice, a month after their first export."""
    source = Population(SandboxConfig(patients=60, seed=11))
    source.advance(30)
    resources: dict[str, Resources] = defaultdict(list)
    for entry in source.entries(Selection(source.day, frozenset(RESOURCE_TYPES))):
        if entry.line is not None:
            resources[entry.resource_type].append(json.loads(entry.line, parse_float=Decimal))
    return resources


@cache
def synthea(folder: Path, resource_type: str) -> Resources:
    """The real resources of a type; none where there is no file of it."""
    path = folder / f"{resource_type}.ndjson.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line, parse_float=Decimal) for line in lines]
