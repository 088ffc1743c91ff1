"""The LangGraph store: a `BaseStore` on Redis, with a key space of its own."""
