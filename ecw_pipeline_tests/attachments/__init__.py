"""Tests of attachments: the store of files, and their text."""
