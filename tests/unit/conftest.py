"""What holds for every test without a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave out the authorities of this machine, whom no test trusts: each TLS context would read all."""
    empty = tmp_path_factory.getbasetemp() / "no-authorities.pem"
    empty.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(empty))
        yield
