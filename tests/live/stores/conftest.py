"""The fixtures of the tests that need no servers, for those that do."""

from tests.unit.stores.conftest import advance as advance
from tests.unit.stores.conftest import clock as clock
from tests.unit.stores.conftest import kind as kind
from tests.unit.stores.conftest import needs_redis as needs_redis
from tests.unit.stores.conftest import output as output
from tests.unit.stores.conftest import own_redis as own_redis
from tests.unit.stores.conftest import python as python
from tests.unit.stores.conftest import shared_redis as shared_redis
from tests.unit.stores.conftest import store as store
from tests.unit.stores.conftest import store_url as store_url
