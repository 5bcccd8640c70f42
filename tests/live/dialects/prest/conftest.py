"""The fixtures of the tests that need no servers, for those that do."""

from tests.unit.dialects.prest.conftest import lib as lib
from tests.unit.dialects.prest.conftest import write as write
