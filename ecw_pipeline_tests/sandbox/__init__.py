"""Tests of the sandbox, over real HTTP where a client would see it."""
