"""Whether received lines can be loaded: as JSON, as the announced type, as FHIR's own elements.

What the reasons are called is in `rules`; what happens to a refused line, in `landing`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from ecw_pipeline.landing import shapes
from ecw_pipeline.landing.rules import Refusal, is_id, judge_identity

_OPENING, _CLOSING = b"{}"


class Judge:
    """Judges lines of one announced type."""

    def __init__(self, resource_type: str) -> None:
        self._type = resource_type
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            shapes.shape_of(resource_type)
        )

    def takes_all(self, lines: Sequence[bytes]) -> bool:
        """Whether nothing speaks against any line; costs less than to ask for each.

        Every line begins and ends with a brace, and there are as many values as lines: so each
        line is one object, because JSON has no closing brace before an opening one inside it.
        """
        text = b"\n".join(lines)
        try:
            text.isascii() or text.decode()
            resources = self._decoder.decode_lines(text)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return False
        return (
            len(resources) == len(lines)
            and all(line[0] == _OPENING and line[-1] == _CLOSING for line in lines)
            and all(one.resourceType == self._type and is_id(one.id) for one in resources)
        )

    def why_refused(self, line: bytes) -> Refusal | None:
        """Why a line cannot be loaded; None where it can."""
        try:
            line.isascii() or line.decode()
            resource = self._decoder.decode(line)
        except UnicodeDecodeError:
            return Refusal("not_utf8")
        except msgspec.ValidationError as error:
            return self._misfit(line, error)
        except (msgspec.DecodeError, RecursionError):
            return Refusal("not_json")
        return judge_identity(resource.resourceType, resource.id, self._type)

    def _misfit(self, line: bytes, error: msgspec.ValidationError) -> Refusal:
        """Name the first reason that applies to a line whose types are wrong somewhere."""
        try:
            resource = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            return Refusal("not_json")
        if not isinstance(resource, dict):
            return Refusal("not_json")
        identity = judge_identity(resource.get("resourceType"), resource.get("id"), self._type)
        return identity or Refusal("wrong_element_type", _path_in(str(error)))


def _path_in(message: str) -> str:
    """The JSON path at the end of a validation message: ``… - at `$.name[0].family` ``."""
    _, _, path = message.rpartition("at `")
    return path.rstrip("`") if path.startswith("$") else "$"
