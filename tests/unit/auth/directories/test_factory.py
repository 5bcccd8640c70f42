"""What stands for a directory in code."""

import pytest

from plugmw.auth.directories import CallableDirectory, SQLDirectory, directory
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.kernel.identity import MemoryDirectory


def test_a_directory_is_itself():
    made = MemoryDirectory()
    assert directory(made) is made


def test_the_others_become_one(tmp_path):
    assert isinstance(directory(lambda kind, key: None), CallableDirectory)
    assert isinstance(directory(f"sqlite://{tmp_path}/a.db"), SQLDirectory)
    assert directory([{"username": "alice"}]).consumer("alice").username == "alice"


def test_says_what_is_wrong():
    with pytest.raises(ConfigErrors, match="unknown field"):
        directory([{"user": "alice"}])
    with pytest.raises(ConfigError, match="consumer_store: got 'mysql://x'"):
        directory("mysql://x")
