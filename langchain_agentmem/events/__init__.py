"""Tier 3: the event log, what an agent did and when."""
