"""Tests of Bulk Data: messages, protocol, planning, download, client."""
