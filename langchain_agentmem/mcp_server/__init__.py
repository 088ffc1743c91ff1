"""The memory as an MCP server, which `agentmem mcp` runs."""
