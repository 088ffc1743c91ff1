"""Tier 2: what is known about a user, found by meaning."""
