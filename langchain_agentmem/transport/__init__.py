"""Drivers that run operations, and the connections they run on."""
