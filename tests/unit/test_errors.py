"""What errors say."""

from __future__ import annotations

import pickle

import pytest

from plugmw import errors

TEXTS = {
    "full": (errors.ConfigError("a[0].b", "got 5", "6", "file.yaml"), "file.yaml: a[0].b: got 5, expected 6"),
    "no source": (errors.ConfigError("a", "got 5", "6"), "a: got 5, expected 6"),
    "no place": (errors.ConfigError("", "got 5", None, "file.yaml"), "file.yaml: got 5"),
    "several": (
        errors.ConfigErrors([errors.ConfigError("a", "x"), errors.ConfigError("b", "y")]),
        "a: x\nb: y",
    ),
    "load": (errors.LoadError("lib.py", "returned int", "str"), "lib.py: returned int, expected str"),
    "load, no expectation": (errors.LoadError("lib.py", "failed"), "lib.py: failed"),
    "order": (
        errors.OrderError(["a", "b", "a"]),
        "before/after form a cycle: a -> b -> a, expected an order without one",
    ),
    "phase": (
        errors.PhaseError("exit", "log", ("access", "rewrite")),
        "exit cannot be called in log phase (only in: access, rewrite)",
    ),
    "store": (errors.StoreError("redis://host", "down"), "redis://host: down"),
    "remote": (errors.RemoteError("p", "access", "gone"), "p: access: gone"),
}


@pytest.mark.parametrize(("error", "text"), TEXTS.values(), ids=TEXTS)
def test_an_error_says_where_what_and_what_instead(error, text):
    assert str(error) == text
    assert isinstance(error, errors.PlugmwError)


@pytest.mark.parametrize("error", [error for error, _ in TEXTS.values() if type(error) is errors.ConfigError])
def test_an_error_survives_a_process_boundary(error):
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
