"""The page on which a person approves a sign-in, and the revocation of one.

Source: RFC 6749, 4.1.1 and 4.1.2; RFC 7009.
"""

import asyncio
import json
from html import escape
from itertools import islice
from urllib.parse import parse_qsl

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ecw_pipeline.sandbox.config import BASE_PATH
from ecw_pipeline.sandbox.descriptions import AUTHORIZE_PATH, REVOKE_PATH, TOKEN_PATH
from ecw_pipeline.sandbox.fhir_routes import form_of
from ecw_pipeline.sandbox.outcomes import TokenRefusalError
from ecw_pipeline.sandbox.sign_ins import LaunchRequest
from ecw_pipeline.sandbox.source import Selection
from ecw_pipeline.sandbox.state import Sandbox, sandbox_of, server_url

_MOST_PATIENTS_SHOWN = 100
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sandbox sign-in</title>
<h1>Sandbox sign-in</h1>
<p><strong>{client}</strong> asks for:</p>
<ul>{scopes}</ul>
<form method="post">
{patients}
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button>
</form></html>"""


async def authorize(request: Request) -> Response:
    """Show what is asked, and send the person back with the decision."""
    sandbox = sandbox_of(request)
    parameters = dict(parse_qsl(request.url.query))
    back = URL(sandbox.sign_ins.redirect_uri(parameters))
    try:
        asked = sandbox.sign_ins.read(parameters, server_url(request) + BASE_PATH)
        if request.method != "POST":
            patients = await asyncio.to_thread(_patients, sandbox)
            return HTMLResponse(_page(asked, patients), headers={"Cache-Control": "no-store"})
        form = await form_of(request)
        if form.get("decision") != "approve":
            raise TokenRefusalError("access_denied", "the person did not approve")
        patient_id = form.get("patient", "") if asked.is_about_a_patient else ""
        answer = {"code": sandbox.sign_ins.approve(asked, patient_id)}
    except TokenRefusalError as refusal:
        answer = {"error": refusal.error, "error_description": refusal.description}
    if "state" in parameters:
        answer["state"] = parameters["state"]
    return RedirectResponse(back.include_query_params(**answer), status_code=303)


async def revoke(request: Request) -> Response:
    """Forget a token."""
    form = await form_of(request)
    sandbox_of(request).sign_ins.revoke(
        form, request.headers.get("authorization"), server_url(request) + TOKEN_PATH
    )
    return Response()


def _page(asked: LaunchRequest, patients: list[tuple[str, str]]) -> str:
    scopes = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in asked.scopes)
    options = "".join(
        f'<option value="{escape(patient_id)}">{escape(name)}</option>'
        for patient_id, name in patients
    )
    select = f'<p><label>For <select name="patient">{options}</select></label></p>'
    return _PAGE.format(
        client=escape(asked.client_id),
        scopes=scopes,
        patients=select if asked.is_about_a_patient else "",
    )


def _patients(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Whom the person may choose: ids and names."""
    selection = Selection(sandbox.source.day, frozenset({"Patient"}))
    lines = (entry.line for entry in sandbox.source.entries(selection) if entry.line is not None)
    return [_id_and_name(line) for line in islice(lines, _MOST_PATIENTS_SHOWN)]


def _id_and_name(line: bytes) -> tuple[str, str]:
    patient = json.loads(line)
    name = (patient.get("name") or [{}])[0]
    words = [*name.get("given", ()), name.get("family", "")]
    return patient["id"], " ".join([*filter(None, words), f"({patient['id']})"])


ROUTES = [
    Route(AUTHORIZE_PATH, authorize, methods=["GET", "POST"]),
    Route(REVOKE_PATH, revoke, methods=["POST"]),
]
