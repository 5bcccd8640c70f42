"""A certificate for the sinks of these tests."""

from __future__ import annotations

import pytest

from tests.support.sinks import Certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))
