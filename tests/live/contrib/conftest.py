"""The fixtures of the tests that need no servers, for those that do."""

from tests.unit.contrib.conftest import folder as folder
from tests.unit.contrib.conftest import serve as serve
