"""Other libraries in `make bench`: the same work, the same checks, each in a process and on a Redis of its own.

What runs in a library's process (`process`, `work`, `checks`, `libraries`) imports nothing of the package, except
`libraries.agentmem`, which is the package.
"""
