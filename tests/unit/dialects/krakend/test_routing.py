"""Which path belongs to what: gin's rules."""

from __future__ import annotations

import pytest

from plugmw.dialects.krakend.routing import Routes


@pytest.fixture
def routes():
    made = Routes()
    paths = (
        "/",
        "/a",
        "/users/{id}",
        "/users/me",
        "/users/{id}/posts/{post}",
        "/files/*",
        "/:old/x",
        "/Mixed",
    )
    for path in paths:
        made.add("GET", path, path)
    made.add("POST", "/a", "posted")
    made.add("GET", "/both/{a}/z", "1")
    made.add("GET", "/both/b/y", "2")
    made.add("GET", "/slash/", "slash")
    return made


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", ("/", {})),
        ("/a", ("/a", {})),
        ("/users/7", ("/users/{id}", {"id": "7"})),
        ("/users/me", ("/users/me", {})),
        ("/users/7/posts/8", ("/users/{id}/posts/{post}", {"id": "7", "post": "8"})),
        ("/users/", None),
        ("/users", None),
        ("/users/7/8", None),
        ("/users//posts/8", None),
        ("/files/a/b", ("/files/*", {})),
        ("/files/", ("/files/*", {})),
        ("/files", None),
        ("/new/x", ("/:old/x", {"old": "new"})),
        ("/both/b/z", ("1", {"a": "b"})),
        ("/both/b/y", ("2", {})),
        ("/b", None),
        ("/A", None),
    ],
)
def test_a_path_finds_its_value_and_parameters(routes, path, found):
    assert routes.find("GET", path) == found


def test_of_two_equal_paths_the_first_stays(routes):
    routes.add("GET", "/a", "again")
    routes.add("GET", "/files/*", "again")
    assert routes.find("GET", "/a") == ("/a", {})
    assert routes.find("GET", "/files/x") == ("/files/*", {})


def test_a_path_has_the_methods_it_was_added_with(routes):
    assert routes.methods("/a") == ["GET", "POST"]
    assert routes.methods("/users/7") == ["GET"]
    assert routes.methods("/nothing/at/all") == []
    assert routes.find("PUT", "/a") is None


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/a/", "/a"),
        ("/users/7/", "/users/7"),
        ("/files", "/files/"),
        ("/slash", "/slash/"),
        ("/", None),
        ("/b/", None),
    ],
)
def test_a_slash_may_be_one_too_many_or_missing(routes, path, other):
    assert routes.toggled("GET", path) == other


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/A", "/a"),
        ("/mixed", "/Mixed"),
        ("//a", "/a"),
        ("/b/../a", "/a"),
        ("/./a/", "/a"),
        ("/USERS/Me", "/users/me"),
        ("/USERS/Paul", "/users/Paul"),
        ("/FILES/A/b", "/files/A/b"),
        ("/FILES", "/files/"),
        ("/nothing/here", None),
    ],
)
def test_a_path_is_cleaned_and_found_in_any_case(routes, path, other):
    assert routes.fixed("GET", path) == other
    assert routes.fixed("PUT", path) is None
