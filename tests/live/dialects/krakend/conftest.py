"""The fixtures of the tests that need no servers, for those that do."""

from tests.unit.dialects.krakend.conftest import folder as folder
from tests.unit.dialects.krakend.conftest import log as log
