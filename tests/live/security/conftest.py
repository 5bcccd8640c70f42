"""The fixtures of the tests that need no servers, for those that do."""

from tests.security.conftest import _gates as _gates
from tests.security.conftest import gate as gate
