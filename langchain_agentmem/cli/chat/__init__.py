"""`agentmem chat`."""
