"""A private Redis: found, started, shared by processes, kept up and ended. Knows nothing of memories."""
