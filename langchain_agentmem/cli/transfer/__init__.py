"""`agentmem import` and `agentmem export`."""
