"""Faults of the manifest, and of the URLs in it."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone

from starlette.responses import Response

from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.sandbox.faults.exchange import Exchange, Proceed, marked, rewritten, set_body
from ecw_pipeline.sandbox.faults.fault import Json, manifest_of, on_manifest, on_reply
from ecw_pipeline.sandbox.json_text import to_line
from ecw_pipeline.sandbox.outcomes import RefusalError, outcome, outcome_response


def _change_urls(reply: Response, change: Callable[[str], str]) -> None:
    if location := reply.headers.get("content-location"):
        reply.headers["content-location"] = change(location)
    if manifest := manifest_of(reply):
        for key in ("output", "deleted", "error", "link"):
            for item in manifest.get(key, []):
                item["url"] = change(item["url"])
        set_body(reply, json.dumps(manifest).encode())


# Servers behind gateways, which do not know their own name.
@on_reply("kickoff", "manifest", statuses=(200, 202))
def relative_urls(exchange: Exchange, reply: Response) -> None:
    """Gives URLs without scheme and host, in Content-Location and the manifest."""
    _change_urls(reply, lambda url: url.removeprefix(exchange.server_url))


def _escape_urls(reply: Response) -> None:
    _change_urls(reply, lambda u: marked(u, "escaped_urls", part=1).replace("&", "&amp;"))


async def _if_unescaped(exchange: Exchange, proceed: Proceed) -> Response:
    if exchange.parameter("part") != "1":
        return outcome_response(RefusalError(400, "invalid", "the parameter part is missing"))
    reply = await proceed()
    if exchange.kind == "status":
        _escape_urls(reply)
    return reply


# eClinicalWorks, live: JSON that went through an HTML template.
@on_reply("kickoff", "manifest", statuses=(200, 202), serve=_if_unescaped)
def escaped_urls(reply: Response) -> None:
    """Writes & as `&amp;` in URLs that need it, in Content-Location and the manifest."""
    _escape_urls(reply)


# Servers that count before they filter, or count resources they could not write.
@on_manifest()
def wrong_counts(files: list[Json], *, by: int = 1) -> None:
    """Counts more lines (or fewer: negative) than there are."""
    for item in files:
        item["count"] += by


# Most servers: count is optional.
@on_manifest()
def missing_counts(files: list[Json]) -> None:
    """Says no counts."""
    for item in files:
        item.pop("count", None)


# Servers that put contained or included resources into a file of their parent.
@on_manifest()
def wrong_type(files: list[Json], *, announced: str = "Basic") -> None:
    """Announces files as holding another type than they do."""
    for item in files:
        item["type"] = announced


# Servers of early versions; some leave out what is empty.
@on_manifest()
def missing_keys(
    manifest: Json,
    *,
    keys: tuple[str, ...] = ("requiresAccessToken", "request", "deleted", "error"),
) -> None:
    """Leaves keys out of the manifest: transactionTime, requiresAccessToken and so on."""
    for key in keys:
        manifest.pop(key, None)


INSTANTS: Mapping[str, Callable[[datetime], str]] = {
    "no_zone": lambda at: at.isoformat().removesuffix("+00:00"),
    "offset": lambda at: at.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat(),
    "space": lambda at: at.isoformat(sep=" "),
    "date": lambda at: at.date().isoformat(),
}


# Servers that print their database's timestamp.
@on_manifest()
def odd_transaction_time(manifest: Json, *, form: str = "no_zone") -> None:
    """Writes transactionTime as no_zone, offset, space or date, or as the text given for form."""
    moment = parse_instant(manifest["transactionTime"])
    manifest["transactionTime"] = INSTANTS[form](moment) if form in INSTANTS else form


# Servers and gateways of FHIR's first years.
@on_reply("manifest", statuses=(200,))
def manifest_content_type(reply: Response, *, value: str = "application/json+fhir") -> None:
    """Sends the manifest with this Content-Type, or with none when it is empty."""
    reply.headers["content-type"] = value
    if not value:
        del reply.headers["content-type"]


# A link to the next page is built from the request's own URL.
@on_manifest()
def paging_loop(exchange: Exchange, manifest: Json) -> None:
    """Links a page of the manifest to itself as the next."""
    manifest["link"] = [{"relation": "next", "url": exchange.url}]


async def _further_page(exchange: Exchange, proceed: Proceed) -> Response:
    reply = await proceed()
    if manifest := manifest_of(reply):
        _cut_to_page(exchange, manifest, int(exchange.parameter("page")))
        set_body(reply, json.dumps(manifest).encode())
    return reply


# Servers of Bulk Data 3 that allow partial manifests.
@on_manifest(serve=_further_page)
def manifest_pages(exchange: Exchange, manifest: Json, *, files_per_page: int = 1) -> None:
    """Gives the manifest in pages of so many files, linked one to the next."""
    exchange.notes["files_per_page"] = files_per_page
    _cut_to_page(exchange, manifest, 1)


def _cut_to_page(exchange: Exchange, manifest: Json, page: int) -> None:
    size: int = exchange.notes["files_per_page"]
    whole = manifest["output"]
    manifest["output"] = whole[(page - 1) * size : page * size]
    if page > 1 and whole:
        manifest |= {"deleted": [], "error": []}
    if page * size < len(whole):
        url = f"{exchange.server_url}{exchange.path}"
        following = marked(url, "manifest_pages", page=page + 1)
        manifest["link"] = [{"relation": "next", "url": following}]


async def _deletions(exchange: Exchange, proceed: Proceed) -> Response:
    resources = int(exchange.parameter("resources"))

    def bundle(content: bytes) -> bytes:
        gone = [json.loads(line) for line in content.splitlines()[:resources]]
        entries = [
            {"request": {"method": "DELETE", "url": f"{one['resourceType']}/{one['id']}"}}
            for one in gone
        ]
        return to_line({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    return await rewritten(exchange, proceed, bundle)


# A resource deleted and made again between two exports.
@on_manifest(serve=_deletions)
def deleted_overlap(manifest: Json, files: list[Json], *, resources: int = 1) -> None:
    """Says of the first resources of a file that they were deleted, too."""
    for item in files[:1]:
        url = marked(item["url"], "deleted_overlap", resources=resources)
        manifest.setdefault("deleted", []).append({"type": "Bundle", "url": url, "count": 1})


async def _outcomes(exchange: Exchange, proceed: Proceed) -> Response:
    line = to_line(outcome("exception", "the resources could not be read"))
    return await rewritten(exchange, proceed, lambda _: line)


# Servers whose export failed in part, or altogether, and still is complete.
@on_manifest(serve=_outcomes)
def error_only(manifest: Json, files: list[Json], *, keeps_output: bool = False) -> None:
    """Brings a file of OperationOutcomes, and nothing else unless output is kept."""
    manifest["error"] = [
        {"type": "OperationOutcome", "url": marked(item["url"], "error_only"), "count": 1}
        for item in files[:1]
    ]
    if not keeps_output:
        manifest["output"] = []


async def _if_fresh(exchange: Exchange, proceed: Proceed) -> Response:
    status = int(exchange.parameter("dead"))
    if not status:
        return await proceed()
    return outcome_response(RefusalError(status, "not-found", "the link has expired"))


# Signed links that live shorter than the download of an export takes.
@on_manifest(serve=_if_fresh)
def expired_links(exchange: Exchange, files: list[Json], *, status: int = 410) -> None:
    """Gives links that have expired; those of a manifest that is read again are fresh."""
    reading = ("expired_links", exchange.path)
    is_first = exchange.notes.setdefault(reading, True)
    exchange.notes[reading] = False
    for item in files:
        dead = status if is_first else 0
        item["url"] = marked(item["url"], "expired_links", dead=dead)


async def _with_header(exchange: Exchange, proceed: Proceed) -> Response:
    parameter = {"name": "header", "valueReference": {"reference": "Patient/0"}}
    header = to_line({"resourceType": "Parameters", "parameter": [parameter]})
    return await rewritten(exchange, proceed, lambda content: header + content)


# Servers of Bulk Data 3, asked or not.
@on_manifest(serve=_with_header)
def organized_output(manifest: Json, files: list[Json], *, keeps_type: bool = True) -> None:
    """Says outputOrganizedBy, and begins files with a line of Parameters; type may be left out."""
    manifest["outputOrganizedBy"] = "Patient"
    for item in files:
        item["url"] = marked(item["url"], "organized_output")
        if not keeps_type:
            del item["type"]


FAULTS = (
    relative_urls,
    escaped_urls,
    manifest_content_type,
    paging_loop,
    manifest_pages,
    missing_keys,
    missing_counts,
    wrong_counts,
    wrong_type,
    odd_transaction_time,
    expired_links,
    organized_output,
    deleted_overlap,
    error_only,
)
