"""What a file's resources look like and how far they keep FHIR's rules, of a sample of its lines.

The sample is chosen by content hash, so that the same lines are always looked at. Findings name
paths and rules, never values. Numbers of decimal elements are text in screened lines, and so here.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from ecw_pipeline.errors import BadDataError
from ecw_pipeline.fhir.structure import is_resource
from ecw_pipeline.files import read_json, write_json
from ecw_pipeline.settings import Settings

# So many lines of a file are looked at in any case, where it has as many.
LEAST_LINES = 1000
# What servers nest endlessly, extensions above all, is told of up to here.
MOST_PATHS = 2000
DEEPEST_PATH = 24
_HASH_MARK = b'"ecw_hash":"'
_OWN_KEYS = ("ecw_line", "ecw_hash")


@dataclass(frozen=True)
class Sampling:
    """How many lines are looked at: a share of them, and whether they are held against the rules.

    The share is of all lines; 1 is all of them.
    """

    share: float = 0.01
    validates: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say."""
        share = 1.0 if settings.validate_lines == "all" else cls.share
        return cls(share, validates=settings.validate_lines != "off")


@dataclass(frozen=True)
class PathUse:
    """An element path, the JSON type it has (``string``, ``string[]``), and in how many lines."""

    path: str
    json_type: str
    lines: int


@dataclass(frozen=True)
class RuleBroken:
    """A rule of FHIR's that is broken at a path: how often, and where first."""

    path: str
    rule: str
    count: int
    first_line: int


@dataclass(frozen=True)
class Quality:
    """What was found in a file; ``lines_invalid`` of the ``lines_sampled`` break a rule."""

    lines_sampled: int = 0
    lines_invalid: int = 0
    is_validated: bool = False
    paths: tuple[PathUse, ...] = ()
    broken: tuple[RuleBroken, ...] = ()


@dataclass
class _Tally:
    sampled: int = 0
    invalid: int = 0
    paths: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: Counter[tuple[str, str]] = field(default_factory=Counter)
    first_line: dict[tuple[str, str], int] = field(default_factory=dict)


def quality_of(screened: Path, resource_type: str, lines: int, sampling: Sampling) -> Quality:
    """What is to be said of a screened file; looked at once, and kept beside it.

    Args:
        lines: how many lines it has.

    Raises:
        MachineError: the disk is full.
    """
    path = screened.with_suffix(".quality.json")
    found = screened.stat()
    stamp = [found.st_size, found.st_mtime_ns, sampling.share, sampling.validates]
    if (known := _kept(path, stamp)) is not None:
        return known
    quality = _look(screened, resource_type, lines, sampling)
    write_json(path, {"stamp": stamp, "quality": asdict(quality)})
    return quality


def _kept(path: Path, stamp: list[Any]) -> Quality | None:
    """What was found before; nothing where it is of another file, or cannot be read."""
    try:
        document = read_json(path)
        if document["stamp"] != stamp:
            return None
        known = document["quality"]
        paths = tuple(PathUse(**one) for one in known["paths"])
        broken = tuple(RuleBroken(**one) for one in known["broken"])
        return Quality(**known | {"paths": paths, "broken": broken})
    except (OSError, BadDataError, KeyError, TypeError):
        return None


def _look(screened: Path, resource_type: str, lines: int, sampling: Sampling) -> Quality:
    share = max(sampling.share, LEAST_LINES / max(lines, 1))
    model = _model(resource_type) if sampling.validates else None
    tally = _Tally()
    for line in _sample(screened, share):
        resource = json.loads(line)
        number = resource["ecw_line"]
        for key in _OWN_KEYS:
            del resource[key]
        tally.sampled += 1
        for use in dict.fromkeys(_paths(resource, "", 0)):
            if use in tally.paths or len(tally.paths) < MOST_PATHS:
                tally.paths[use] += 1
        broken = dict.fromkeys(_broken_rules(model, resource)) if model else {}
        tally.invalid += bool(broken)
        for rule in broken:
            tally.broken[rule] += 1
            tally.first_line.setdefault(rule, number)
    return Quality(
        lines_sampled=tally.sampled,
        lines_invalid=tally.invalid,
        is_validated=model is not None,
        paths=tuple(PathUse(*use, n) for use, n in sorted(tally.paths.items())),
        broken=tuple(
            RuleBroken(*rule, n, tally.first_line[rule]) for rule, n in sorted(tally.broken.items())
        ),
    )


def _sample(screened: Path, share: float) -> Iterator[bytes]:
    """The lines whose hash is among the first ``share`` of all that there can be."""
    limit = share * 2**32
    with screened.open("rb") as lines:
        for line in lines:
            at = line.find(_HASH_MARK, 0, 64) + len(_HASH_MARK)
            if int(line[at : at + 8], 16) < limit:
                yield line


def _paths(value: dict[str, Any], above: str, depth: int) -> Iterator[tuple[str, str]]:
    for name, one in value.items():
        path = f"{above}{name}"
        yield path, _json_type(one)
        for inner in one if isinstance(one, list) else (one,):
            if isinstance(inner, dict) and depth < DEEPEST_PATH:
                yield from _paths(inner, f"{path}.", depth + 1)


def _json_type(value: Any) -> str:
    match value:
        case list():
            return f"{_json_type(value[0])}[]" if value else "[]"
        case dict():
            return "object"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case None:
            return "null"
        case _:
            return "string"


@cache
def _model(resource_type: str) -> Any:
    """The rules of a type; None of one that fhir.resources does not know."""
    if not is_resource(resource_type):
        return None
    from fhir.resources.R4B import get_fhir_model_class

    return get_fhir_model_class(resource_type)


def _broken_rules(model: Any, resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
    from pydantic import ValidationError

    try:
        model.model_validate(resource)
    except ValidationError as error:
        for one in error.errors(include_input=False, include_url=False, include_context=False):
            # A key that FHIR does not know is the server's word, not a patient's value.
            path = ".".join(str(part) for part in one["loc"] if not isinstance(part, int))
            yield path[:200], one["type"]
    except RecursionError:
        yield "", "too_deep"
