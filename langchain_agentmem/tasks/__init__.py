"""Queues of tasks for the background: exchanges to extract memories from, and sessions to fold."""
