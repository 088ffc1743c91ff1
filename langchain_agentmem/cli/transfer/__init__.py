"""`agentmem import`, `agentmem export` and `agentmem move`."""
