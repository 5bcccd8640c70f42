import pytest

from tests.support.bundles import shelf, write_keys


@pytest.fixture
def server():
    with shelf() as made:
        yield made


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Return the paths of a private and a public key."""
    return write_keys(tmp_path_factory.mktemp("keys"))
