"""Moving everything of a memory from one server to another, while it is in use."""
