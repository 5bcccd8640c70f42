"""Several bundles made into one."""

from pathlib import Path

import pytest

from plugmw.bundles import Bundle, Manifest
from plugmw.bundles.bundle import merge
from plugmw.errors import LoadError

ROOT = Path("/b")


def one(name, **hooks):
    return Bundle(name, ROOT / name, Manifest((f"{name}.py",), hooks), name)


def merged(*hooks):
    return merge("n", [one(f"b{at}", **each) for at, each in enumerate(hooks)], ROOT)


def test_lists_are_appended_in_order_with_the_folder_of_each():
    found = merged(
        {"pre": [{"name": "A", "path": "x.so"}]}, {"pre": [{"name": "B"}], "post": [{"name": "C"}]}
    )
    assert found.manifest == Manifest(
        ("b0/b0.py", "b1/b1.py"),
        {"pre": [{"name": "A", "path": "b0/x.so"}, {"name": "B"}], "post": [{"name": "C"}]},
    )
    assert found.folder == ROOT
    assert found.hash != merged({}).hash


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ({"driver": "python"}, {"driver": "python"}, {"driver": "python"}),
        ({"driver": ""}, {"driver": "python"}, {"driver": "python"}),
        ({"driver": "python"}, {"driver": ""}, {"driver": "python"}),
        ({"auth_check": {"name": ""}}, {"auth_check": {"name": "A"}}, {"auth_check": {"name": "A"}}),
        ({"auth_check": {"name": "A"}}, {"auth_check": {}}, {"auth_check": {"name": "A"}}),
        ({}, {"auth_check": {"name": "A", "path": "f"}}, {"auth_check": {"name": "A", "path": "b1/f"}}),
        ({"driver": None}, {}, {"driver": None}),
    ],
)
def test_of_what_is_no_list_there_is_one(first, second, result):
    assert merged(first, second).manifest.custom_middleware == result


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("driver", "python", "lua"),
        ("auth_check", {"name": "A"}, {"name": "A"}),
        ("pre", {"name": "A"}, [{"name": "B"}]),
    ],
)
def test_two_that_contradict_are_refused(kind, first, second):
    with pytest.raises(LoadError) as error:
        merged({kind: first}, {kind: second})
    assert str(error.value) == f"n: b1: {kind}: is set in a bundle before it too, expected one {kind} for all"
