"""The fixtures of the tests that need no servers, for those that do."""

from tests.unit.auth.directories.conftest import clock as clock
from tests.unit.auth.directories.conftest import directory as directory
from tests.unit.auth.directories.conftest import other as other
from tests.unit.auth.directories.conftest import postgres as postgres
from tests.unit.auth.directories.conftest import url as url
