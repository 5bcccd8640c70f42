"""Digests of secrets that cost little; what they cost is proven in ``auth/test_client_secrets.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plugmw.auth import client_secrets


@pytest.fixture(scope="module", autouse=True)
def cheap_digests() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_secrets, "ROUNDS", 10)
        yield
