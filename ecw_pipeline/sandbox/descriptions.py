"""What the server says of itself: discovery document and CapabilityStatement."""

from typing import Any

from ecw_pipeline.sandbox.config import BASE_PATH
from ecw_pipeline.sandbox.sign_ins import GRANT_TYPES
from ecw_pipeline.sandbox.tokens import ALGORITHMS

_OPERATIONS = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
TOKEN_PATH = "/oauth2/token"  # noqa: S105 - an address, not a secret
REVOKE_PATH = "/oauth2/revoke"
# Where a person's browser goes; not a request of the client's, so no rate window counts it.
AUTHORIZE_PATH = "/authorize"


def smart_configuration(server_url: str, scopes: list[str]) -> dict[str, Any]:
    """Source: SMART App Launch 2.2, "Conformance"."""
    return {
        "issuer": server_url + BASE_PATH,
        "authorization_endpoint": server_url + AUTHORIZE_PATH,
        "token_endpoint": server_url + TOKEN_PATH,
        "revocation_endpoint": server_url + REVOKE_PATH,
        "token_endpoint_auth_methods_supported": [
            "none",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "grant_types_supported": ["client_credentials", *GRANT_TYPES],
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": [
            "client-confidential-asymmetric",
            "client-confidential-symmetric",
            "client-public",
            "context-standalone-patient",
            "launch-standalone",
            "permission-offline",
            "permission-patient",
            "permission-user",
            "permission-v1",
            "permission-v2",
        ],
    }


def capability_statement(
    server_url: str, date: str, resource_types: tuple[str, ...]
) -> dict[str, Any]:
    """Source: FHIR R4 CapabilityStatement; Bulk Data Access, "Server Capability Documentation"."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
        "software": {"name": "ecw_pipeline sandbox", "version": "1"},
        "implementation": {"description": "Made-up patients", "url": server_url + BASE_PATH},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "security": _security(server_url),
                "resource": [_resource(name) for name in sorted(resource_types)],
                "interaction": [{"code": "batch"}],
                "operation": [_operation("export", "export")],
            }
        ],
    }


def _security(server_url: str) -> dict[str, Any]:
    code = {
        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
        "code": "SMART-on-FHIR",
    }
    uris = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
    return {
        "service": [{"coding": [code]}],
        "extension": [
            {
                "url": uris,
                "extension": [
                    {"url": "authorize", "valueUri": server_url + AUTHORIZE_PATH},
                    {"url": "token", "valueUri": server_url + TOKEN_PATH},
                    {"url": "revoke", "valueUri": server_url + REVOKE_PATH},
                ],
            }
        ],
    }


def _operation(name: str, definition: str) -> dict[str, str]:
    return {"name": name, "definition": _OPERATIONS + definition}


_EXPORTS = {
    "Patient": _operation("export", "patient-export"),
    "Group": _operation("export", "group-export"),
}


def _resource(resource_type: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": resource_type,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "versioned",
    }
    if resource_type in _EXPORTS:
        described["operation"] = [_EXPORTS[resource_type]]
    return described
