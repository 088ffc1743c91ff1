"""Long-term memory on Upstash Redis, which has a search of its own."""
