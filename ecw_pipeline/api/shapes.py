"""What goes in and out of the API, as the product brief names it; also its OpenAPI schemas."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from ecw_pipeline.errors import BadDataError
from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.fhir.structure import is_resource, resource_types

ExportType = Literal["Patient", "Group", "System"]
JobStatus = Literal["IN_PROGRESS", "COMPLETED", "FAILED"]


def _known_type(name: str) -> str:
    if not is_resource(name):
        raise ValueError(f"{name!r} is not a FHIR resource type, such as Observation")
    return name


def _instant(text: str) -> str:
    try:
        parse_instant(text)
    except (BadDataError, OverflowError) as error:
        raise ValueError(f"{text!r} is not an instant with a zone, 2026-01-31T12:00:00Z") from error
    return text


ResourceType = Annotated[
    str,
    AfterValidator(_known_type),
    WithJsonSchema({"type": "string", "enum": list(resource_types())}),
]
ConnectionId = Annotated[str, StringConstraints(min_length=1)]
Instant = Annotated[
    str,
    AfterValidator(_instant),
    Field(examples=["2026-01-31T12:00:00Z"], json_schema_extra={"format": "date-time"}),
]
FhirId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class BulkExportBody(_Strict):
    """An export to ask for; without ``since`` of everything, without types of all there are."""

    connectionId: ConnectionId  # noqa: N815  the names are the brief's
    exportType: ExportType | None = None  # noqa: N815
    groupId: FhirId | None = None  # noqa: N815
    resourceTypes: list[ResourceType] = []  # noqa: N815
    since: Instant | None = None

    @model_validator(mode="after")
    def _group_goes_with_group(self) -> "BulkExportBody":
        if self.groupId and self.exportType not in (None, "Group"):
            raise ValueError("groupId goes with exportType Group")
        return self


class EnhancedSyncBody(_Strict):
    """A sync of the brief's types; without ``since`` of what changed since the last one."""

    connectionId: ConnectionId  # noqa: N815
    includeStandard: bool = True  # noqa: N815
    includeEnhanced: bool = True  # noqa: N815
    resourceTypes: list[ResourceType] = []  # noqa: N815
    since: Instant | None = None


class Progress(_Strict):
    """How far an export is, in words; and how many of its files have landed."""

    state: str
    said: str
    filesLanded: int  # noqa: N815
    files: int


class Job(_Strict):
    """An export; it is completed when all of it is loaded, to be published next.

    ``outputUrls`` are its files, served here as they were received.
    """

    id: str
    connectionId: str  # noqa: N815
    status: JobStatus
    statusUrl: str  # noqa: N815
    startedAt: AwareDatetime  # noqa: N815
    completedAt: AwareDatetime | None = None  # noqa: N815
    progress: Progress | None = None
    outputUrls: list[str] | None = None  # noqa: N815
    counts: dict[str, int] | None = None
    errorMessage: str | None = None  # noqa: N815


class SyncResult(_Strict):
    """How many resources a sync brought; ``jobs`` are its exports."""

    standardResources: int  # noqa: N815
    enhancedResources: int  # noqa: N815
    total: int
    jobs: list[str]


class Capabilities(_Strict):
    """What a connection's server can do for us."""

    connectionId: str  # noqa: N815
    bulkExport: bool  # noqa: N815
    diagnosticReports: bool  # noqa: N815
    carePlans: bool  # noqa: N815
    encounters: bool
    communications: bool
    tasks: bool
    rateLimit: str  # noqa: N815
    rateLimits: list[str]  # noqa: N815
    resourceTypes: list[str]  # noqa: N815


class Problem(_Strict):
    """What is wrong, and what to do next."""

    code: str
    message: str
    next: str


class ErrorReply(_Strict):
    """A refusal."""

    success: Literal[False]
    error: Problem


class JobReply(_Strict):
    """An export."""

    success: Literal[True]
    data: Job


class JobsReply(_Strict):
    """Exports, newest first."""

    success: Literal[True]
    data: list[Job]


class SyncReply(_Strict):
    """The result of a sync, or its first export where it takes longer than the caller waits."""

    success: Literal[True]
    data: SyncResult | Job


class CapabilitiesReply(_Strict):
    """What a server can do."""

    success: Literal[True]
    data: Capabilities


def instant(text: str | None) -> datetime | None:
    """An instant that was checked already."""
    return parse_instant(text) if text else None
