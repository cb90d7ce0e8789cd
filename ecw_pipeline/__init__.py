"""From a FHIR EHR's Bulk Data export to tables an analyst can query."""
