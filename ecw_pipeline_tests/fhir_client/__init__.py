"""Tests of the FHIR client: presets, budget, transport, tokens, session."""
