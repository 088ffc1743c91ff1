"""Runs operations: drivers, the connections they use, and what a URL means."""
