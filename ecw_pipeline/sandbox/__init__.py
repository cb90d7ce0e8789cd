"""A pretend FHIR server with Bulk Data export: population, time, limits. Never the client."""
