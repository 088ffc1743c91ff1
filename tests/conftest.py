"""What the tests of every folder may use."""

from tests.twins import both as both
