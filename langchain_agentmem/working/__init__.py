"""Tier 1: the conversation of a thread."""
