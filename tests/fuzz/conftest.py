"""How much is tried: ``ci`` is the same short run each time, ``PLUGMW_FUZZ=long`` a new and long one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.unit.bundles.conftest import keys as keys
from tests.unit.bundles.conftest import server as server

#: Outside of the repository: what is found belongs into the tests of the module, as an example.
KEPT = Path(tempfile.gettempdir()) / f"plugmw-fuzz-{os.getuid()}"

set_hypothesis_home_dir(KEPT)
# Inputs are made of long samples. What an example may cost is measured by tests.fuzz.budget.
USUAL = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], print_blob=True
)
settings.register_profile("ci", USUAL, derandomize=True, max_examples=60, database=None)
settings.register_profile(
    "long", USUAL, max_examples=10_000, database=DirectoryBasedExampleDatabase(KEPT / "examples")
)
settings.load_profile(os.environ.get("PLUGMW_FUZZ") or "ci")


@pytest.fixture(autouse=True, scope="module")
def elsewhere(tmp_path_factory):
    """Work in an empty folder: relative paths in changed documents lead nowhere."""
    before, here = Path.cwd(), tmp_path_factory.mktemp("fuzz")
    os.chdir(here)
    yield here
    os.chdir(before)
