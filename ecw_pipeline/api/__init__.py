"""The HTTP API: exports, syncs and capabilities for other applications, over the same ledger."""
