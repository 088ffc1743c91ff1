"""Long-term memory on Redis with Search: documents, found by their vectors."""
