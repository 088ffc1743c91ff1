"""What has to hold however long it goes on: cut connections, killed and full servers, hostile names.

`python -m integration_tests.soak --seconds 600` runs it for long, the tests for a few seconds each.
"""
