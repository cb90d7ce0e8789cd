"""The API described for machines: OpenAPI 3.1, made of the shapes that requests are read by."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ecw_pipeline.api import shapes
from ecw_pipeline.api.jobs import BASE, JOBS_URL

_MODELS: tuple[type[BaseModel], ...] = (
    shapes.BulkExportBody,
    shapes.EnhancedSyncBody,
    shapes.JobReply,
    shapes.JobsReply,
    shapes.SyncReply,
    shapes.CapabilitiesReply,
    shapes.ErrorReply,
)
_TEMPLATE = "#/components/schemas/{model}"
_PROBLEMS = {
    "400": "The request, or a setting, is wrong; the message names what.",
    "401": "The key of ECW_API_KEY is missing or wrong.",
    "404": "There is no such connection, export or file.",
    "409": "An export is under way that brings less, or none that could be cancelled.",
    "413": "The body is larger than a request can be.",
    "415": "The body is not application/json.",
    "502": "The FHIR server refused.",
    "503": "The FHIR server cannot be reached now; Retry-After says when to try again.",
}


def document(version: str) -> dict[str, Any]:
    """The whole description."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in _MODELS], ref_template=_TEMPLATE
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "ecw_pipeline", "version": version},
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _paths() -> dict[str, Any]:
    export = _path("id", {"type": "string"})
    number = _path("number", {"type": "integer", "minimum": 0})
    ask = _operation("Ask for a bulk export", "202", shapes.JobReply, body=shapes.BulkExportBody)
    every, one = [_query("connectionId", required=False)], [_query("connectionId", required=True)]
    capabilities = "What a connection's server can do"
    return {
        JOBS_URL: {
            "post": ask,
            "get": _operation("List exports, newest first", "200", shapes.JobsReply, every),
        },
        f"{JOBS_URL}/{{id}}": {
            "get": _operation("How far an export is", "200", shapes.JobReply, [export]),
            "delete": _operation("Cancel an export", "202", shapes.JobReply, [export]),
        },
        f"{JOBS_URL}/{{id}}/files/{{number}}": {"get": _file_operation([export, number])},
        f"{BASE}/enhanced-sync": {"post": _sync_operation()},
        f"{BASE}/capabilities": {
            "get": _operation(capabilities, "200", shapes.CapabilitiesReply, one)
        },
    }


def _path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, *, required: bool) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _operation(
    summary: str,
    status: str,
    reply: type[BaseModel],
    parameters: list[dict[str, Any]] | None = None,
    body: type[BaseModel] | None = None,
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": summary,
        "responses": {status: _answer(summary, reply), **_problems()},
    }
    if parameters:
        described["parameters"] = parameters
    if body:
        described["requestBody"] = {"required": True, "content": _content(body)}
    return described


def _sync_operation() -> dict[str, Any]:
    summary = "Sync the brief's types; 202 with an export to ask after where it takes longer"
    described = _operation(summary, "200", shapes.SyncReply, body=shapes.EnhancedSyncBody)
    described["responses"]["202"] = _answer("It goes on", shapes.SyncReply)
    return described


def _file_operation(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    content = {"application/fhir+ndjson": {"schema": {"type": "string"}}}
    return {
        "summary": "A file of an export as it was received",
        "parameters": parameters,
        "responses": {"200": {"description": "NDJSON", "content": content}, **_problems()},
    }


def _problems() -> dict[str, Any]:
    return {status: _answer(words, shapes.ErrorReply) for status, words in _PROBLEMS.items()}


def _answer(description: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": _content(model)}


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _TEMPLATE.format(model=model.__name__)}}}
