"""FHIR Bulk Data Access: messages, protocol, download, client."""
