"""Tests of landing: lines, rules, decimals, screening."""
