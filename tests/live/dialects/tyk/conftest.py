"""The fixtures of the tests that need no servers, for those that do."""

from tests.unit.dialects.tyk.conftest import api as api
from tests.unit.dialects.tyk.conftest import log as log
from tests.unit.dialects.tyk.conftest import serve as serve
from tests.unit.dialects.tyk.conftest import upstream as upstream
