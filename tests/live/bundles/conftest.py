"""The fixtures of the tests that need no servers, for those that do."""

from tests.unit.bundles.conftest import keys as keys
from tests.unit.bundles.conftest import server as server
