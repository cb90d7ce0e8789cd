"""Measured claims, each a script that can be run."""
