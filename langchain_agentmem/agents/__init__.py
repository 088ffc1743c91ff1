"""What agents use: middleware and tools for `create_agent`, a store for LangGraph."""
