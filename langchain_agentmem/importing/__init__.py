"""Importing conversations and memories: the counterpart of `langchain_agentmem.user_data`'s export."""
