"""Reading which faults a sandbox has, and deciding each time whether one strikes."""

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from starlette.responses import Response

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.files import machine_errors
from ecw_pipeline.sandbox.faults.exchange import Exchange, Notes, Proceed
from ecw_pipeline.sandbox.faults.fault import Fault, Firing
from ecw_pipeline.sandbox.faults.table import FAULTS

_SEED = 7
# Requests of these kinds have their chances by the name of what is asked for.
_NAMED = ("file", "attachment")


@dataclass(frozen=True)
class When:
    """The conditions of a script's table, beside the fault's own parameters."""

    on: tuple[str, ...]
    resource_type: str = ""
    nth: int = 1
    times: int = 0
    probability: float = 1.0


@dataclass
class Rule:
    """One table of a script: a fault, its conditions, and how often it could have struck."""

    fault: Fault
    parameters: Mapping[str, Any]
    when: When
    seed: str
    chances: Counter[str] = field(default_factory=Counter)
    struck: int = 0

    async def run(self, exchange: Exchange, proceed: Proceed) -> Response:
        """Answer a request, or let it proceed and spoil the reply, or leave both alone."""
        if self.fault.serve and exchange.is_marked(self.fault.name):
            return await self.fault.serve(exchange, proceed)
        if not self._concerns(exchange):
            return await proceed()
        firing = Firing(self.parameters, self.when.resource_type, self._strikes)
        return await self.fault.way(self.fault, firing, exchange, proceed)

    def _concerns(self, exchange: Exchange) -> bool:
        kinds = {exchange.kind} | ({"manifest"} if exchange.kind == "status" else set())
        wanted, named = self.when.resource_type, exchange.resource_types
        return bool(kinds & set(self.when.on)) and (not (wanted and named) or wanted in named)

    def _strikes(self, exchange: Exchange) -> bool:
        key = exchange.path.rpartition("/")[2] if exchange.kind in _NAMED else exchange.kind
        self.chances[key] += 1
        draw = Random(f"{self.seed}:{key}:{self.chances[key]}").random()
        strikes = (
            self.chances.total() >= self.when.nth
            and (not self.when.times or self.struck < self.when.times)
            and draw < self.when.probability
        )
        if strikes:
            self.struck += 1
            exchange.sandbox.statistics.fault(self.fault.name)
        return strikes


class Faults:
    """The faults of one running sandbox."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.notes: Notes = {}
        self._mapping: Mapping[str, Any] = {}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Faults":
        """Faults by name, each with a table of parameters and conditions, or a list of them.

        Raises:
            ConfigurationError: a fault, parameter or value is none.
        """
        faults = cls()
        faults.replace(mapping)
        return faults

    @classmethod
    def read(cls, path: Path) -> "Faults":
        """Read a script, TOML or JSON.

        Raises:
            ConfigurationError: it is neither, or names what is no fault.
        """
        with machine_errors(path):
            content = path.read_bytes()
        try:
            text = content.decode()
            document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"{path} cannot be read: {error}", "mend the file") from error
        return cls.from_mapping(document)

    def replace(self, mapping: Mapping[str, Any]) -> None:
        """Have these faults and no others, counting anew.

        Raises:
            ConfigurationError: a fault, parameter or value is none.
        """
        if not isinstance(mapping, Mapping):
            raise _wrong("faults are a table of tables by their names")
        unknown = sorted(mapping.keys() - FAULTS.keys() - {"seed"})
        if unknown:
            raise _wrong(f"there is no fault {unknown[0]!r}")
        seed = mapping.get("seed", _SEED)
        rules = [
            _rule(fault, table, f"{seed}:{name}:{number}")
            for name, fault in FAULTS.items()
            for number, table in enumerate(_tables(name, mapping.get(name, [])))
        ]
        self._mapping, self.rules, self.notes = mapping, rules, {}

    def as_json(self) -> dict[str, Any]:
        """The script as it was given."""
        return dict(self._mapping)


def _tables(name: str, value: Any) -> list[Mapping[str, Any]]:
    tables = value if isinstance(value, list) else [value]
    if not all(isinstance(table, Mapping) for table in tables):
        raise _wrong(f"the fault {name} needs a table, if only an empty one")
    return tables


def _rule(fault: Fault, table: Mapping[str, Any], seed: str) -> Rule:
    conditions = vars(When(fault.kinds, times=fault.times))
    defaults = {**conditions, **fault.parameters}
    unknown = sorted(table.keys() - defaults.keys())
    if unknown:
        raise _wrong(f"the fault {fault.name} has no parameter {unknown[0]!r}")
    values = {
        key: _typed(fault.name, key, table.get(key, default), default)
        for key, default in defaults.items()
    }
    when = When(**{key: values[key] for key in conditions})
    if not set(when.on) <= set(fault.kinds):
        raise _wrong(f"the fault {fault.name} can be on: {', '.join(fault.kinds)}")
    return Rule(fault, {key: values[key] for key in fault.parameters}, when, seed)


def _typed(fault: str, key: str, value: Any, default: Any) -> Any:
    """The value as the type of the default: a list of texts for a tuple, a number for a float."""
    if isinstance(default, tuple):
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
            return tuple(texts)
    elif isinstance(default, float) and type(value) is int:
        return float(value)
    elif type(value) is type(default):
        return value
    raise _wrong(f"{key} of the fault {fault} must be like {default!r}")


def _wrong(text: str) -> ConfigurationError:
    return ConfigurationError(text, "see what there is with: ecw sandbox --list-faults")
