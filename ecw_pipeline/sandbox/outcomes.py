"""Replies that say what is wrong: OperationOutcome for FHIR, an error object for OAuth."""

from typing import Any

from starlette.responses import JSONResponse, Response

FHIR_JSON = "application/fhir+json"


class RefusalError(Exception):
    """A request this server answers with an OperationOutcome."""

    def __init__(
        self, status: int, code: str, text: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.headers = status, code, text, headers


class TokenRefusalError(Exception):
    """A token request this server answers with an OAuth error (RFC 6749, 5.2)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


def outcome(code: str, text: str) -> dict[str, Any]:
    """An OperationOutcome with one error."""
    issue = {"severity": "error", "code": code, "diagnostics": text, "details": {"text": text}}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def outcome_response(refusal: RefusalError) -> Response:
    """The refusal as an HTTP reply."""
    body = outcome(refusal.code, refusal.text)
    return JSONResponse(body, refusal.status, refusal.headers, media_type=FHIR_JSON)


def token_error_response(refusal: TokenRefusalError) -> Response:
    """The refusal as an HTTP reply."""
    unknown_client = refusal.error == "invalid_client"
    headers = {"Cache-Control": "no-store"}
    if unknown_client:
        headers["WWW-Authenticate"] = 'Basic realm="sandbox"'
    body = {"error": refusal.error, "error_description": refusal.description}
    return JSONResponse(body, 401 if unknown_client else 400, headers)
