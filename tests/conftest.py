"""What the tests of every folder may use."""

from tests import steady as steady
from tests.twins import both as both
