"""Why a received line can be refused. A reason code for each; the words never hold values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# FHIR R4, "Data Types", id. Servers in the wild exceed 64 characters; tables do not mind.
_ID = re.compile(r"[A-Za-z0-9\-._]{1,256}")

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "not_utf8": "the line is not UTF-8 text",
        # Nor is one nested a thousand deep, 1e400, or half a surrogate pair: no reader holds those.
        "not_json": "the line is not a JSON object that can be read",
        "no_resource_type": "the resource has no resourceType",
        "other_resource_type": "the resource is of another type than the manifest announced",
        "no_id": "the resource has no id",
        "bad_id": "the resource's id is not a FHIR id",
        "wrong_element_type": "an element is of another JSON type than FHIR R4 says",
        "unreadable": "the line cannot be read as columns (a key stands twice, say)",
        "bad_deletion": "an entry of a deleted bundle names nothing to delete; its others count",
    }
)


@dataclass(frozen=True)
class Refusal:
    """Why one line goes to quarantine; ``detail`` is a JSON path or empty, never a value."""

    reason: str
    detail: str = ""


def judge_identity(
    resource_type: object, resource_id: object, announced_type: str
) -> Refusal | None:
    """Refuse a resource that cannot be keyed; None where it can."""
    if not resource_type:
        return Refusal("no_resource_type")
    if resource_type != announced_type:
        return Refusal("other_resource_type")
    if not resource_id:
        return Refusal("no_id")
    return None if is_id(resource_id) else Refusal("bad_id", "$.id")


def is_id(value: object) -> bool:
    """Whether a value can be a resource's id."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None
