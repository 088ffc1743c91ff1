"""`python -m langchain_agentmem.cli`, for where the script `agentmem` is not on the PATH."""

from langchain_agentmem.cli import main

main()
