"""How times, memory and CPU grow with the number of users, on one server and on clusters; many conversations at once.

`make growth` measures, and writes the tables and pictures of docs/scale.md. It goes on where it was interrupted.
"""
