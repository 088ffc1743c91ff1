"""Tier 2: memories of users, found by meaning or by words."""
