"""Which modifiers are in force, and how they run."""

from __future__ import annotations

import pytest

from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.modifiers import Modifiers, build_modifiers
from plugmw.dialects.krakend.registry import MODIFIER
from plugmw.dialects.krakend.wrappers import ModifierError, RequestWrapper, ResponseWrapper
from plugmw.errors import LoadError

NAMESPACE, LONG = MODIFIER.namespaces


def noting(text, result=None):
    """A factory whose modifier adds to the body of what it sees."""

    def factory(extra):
        def modifier(wrapper):
            wrapper.body += text.encode()
            return result

        return modifier

    return factory


@pytest.fixture
def build(log):
    """Build from (name, factory, to request, to response) and a list of names."""

    def run(plugins, names, **options):
        loader = Loader(log)
        for plugin in plugins:
            loader.register.taker(MODIFIER)(*plugin)
        return build_modifiers(loader, {NAMESPACE: {"name": names}}, "[ENDPOINT: /x]", **options)

    return run


A, B = ("a", noting("a"), True, False), ("b", noting("b"), True, False)
C, D = ("c", noting("c"), False, True), ("d", noting("d"), False, True)


def test_both_lists_run_forward_in_the_order_of_one_name_list(build, log):
    found = build([A, B, C, D], ["d", "b", "c", "a"])
    assert found.on_request(RequestWrapper()).body == b"ba"
    assert found.on_response(ResponseWrapper()).body == b"dc"
    assert log.lines == ["DEBUG: [ENDPOINT: /x][Modifier Plugins] Adding 2 request and 2 response modifiers"]


def test_a_modifier_gets_the_whole_namespace(build):
    seen = []
    build([("a", lambda extra: seen.append(extra) or print, True, False)], ["a"])
    assert seen == [{"name": ["a"]}]


def test_a_returned_wrapper_takes_the_place(build):
    new = RequestWrapper(path="/new")
    found = build([("n", lambda extra: lambda request: (new, None), True, False), A], ["n", "a"])
    assert found.on_request(RequestWrapper()) is new
    assert new.body == b"a"


def test_a_returned_response_takes_the_place(build):
    new = ResponseWrapper()
    found = build([("n", lambda extra: lambda response: new, False, True), C], ["n", "c"])
    assert found.on_response(ResponseWrapper()) is new
    assert new.body == b"c"


@pytest.mark.parametrize("foreign", [5, "text", {}], ids=repr)
def test_a_foreign_type_is_no_change_and_the_next_one_runs(build, foreign):
    plugin = ("f", noting("f", foreign), True, True)
    found = build([plugin, A, C], ["f", "a", "c"])
    assert found.on_request(RequestWrapper()).body == b"fa"
    assert found.on_response(ResponseWrapper()).body == b"fc"


@pytest.mark.parametrize("error", [ModifierError("no", 403), "no"], ids=["exception", "text"])
def test_an_error_ends_the_list_whether_raised_or_returned(build, error):
    found = build([("e", lambda extra: lambda request: (None, error), True, True), A, C], ["e", "a", "c"])
    request, response = RequestWrapper(), ResponseWrapper()
    with pytest.raises(ModifierError, match="no"):
        found.on_request(request)
    with pytest.raises(ModifierError, match="no"):
        found.on_response(response)
    assert (request.body, response.body) == (b"", b"")


def test_an_exception_without_a_status_is_meant_for_the_client_only_if_it_is_returned(build):
    returns = ("e", lambda extra: lambda request: (None, ValueError("told")), True, False)
    with pytest.raises(ModifierError, match="told"):
        build([returns], ["e"]).on_request(RequestWrapper())
    found = build([("e", lambda extra: lambda request: [][0], True, False)], ["e"])
    with pytest.raises(IndexError):
        found.on_request(RequestWrapper())


def test_a_request_modifier_may_answer(build):
    answer = ResponseWrapper(status_code=403)
    plugin = ("r", lambda extra: lambda request: answer, True, False)
    assert build([plugin, A], ["r", "a"]).on_request(RequestWrapper()) is answer


def test_a_response_from_a_request_modifier_is_a_foreign_type_under_compat(build):
    plugin = ("r", lambda extra: lambda request: ResponseWrapper(), True, False)
    assert build([plugin, A], ["r", "a"], compat=True).on_request(RequestWrapper()).body == b"a"


def test_a_name_for_both_directions_is_one_modifier_for_both(build):
    made = []
    both = ("x", lambda extra: made.append(1) or (lambda wrapper: None), True, True)
    found = build([both], ["x"])
    assert (found.requests == found.responses, len(found.requests), made) == (True, 1, [1])


def test_a_name_with_a_factory_for_each_direction_has_both(build):
    found = build([A, ("a", noting("r"), False, True)], ["a"])
    assert found.on_request(RequestWrapper()).body == b"a"
    assert found.on_response(ResponseWrapper()).body == b"r"


def test_under_compat_a_name_for_both_directions_acts_on_the_request_only(build):
    found = build([("x", noting("x"), True, True)], ["x"], compat=True)
    assert (len(found.requests), len(found.responses)) == (1, 0)


def fails(extra):
    raise ValueError("no config")


@pytest.mark.parametrize(
    ("plugins", "told"),
    [
        ([], "No plugin registered as x"),
        ([("x", lambda extra: None, True, False)], "Wrong modifier type: x"),
        ([("x", fails, False, True)], "Error getting the modifier x: no config"),
    ],
    ids=["unknown", "factory returned None", "factory raised"],
)
def test_what_cannot_be_used_is_skipped_with_an_error_and_silently_under_compat(build, log, plugins, told):
    found = build([*plugins, A], ["x", "a"])
    assert len(found.requests) == 1
    assert log.lines[0] == f"ERROR: [ENDPOINT: /x][Modifier Plugins] {told}"
    del log.lines[:]
    build([*plugins, A], ["x", "a"], compat=True)
    assert [line for line in log.lines if "Adding" not in line] == []
    with pytest.raises(LoadError, match=told):
        build([*plugins, A], ["x", "a"], strict=True)


def test_a_plain_string_is_one_name_and_none_under_compat(build):
    assert len(build([A], "a").requests) == 1
    assert build([A], "a", compat=True) == Modifiers(compat=True)


@pytest.mark.parametrize(
    "extra_config", [{}, {NAMESPACE: "text"}, {NAMESPACE: {}}, {NAMESPACE: {"name": []}}]
)
def test_nothing_is_logged_when_nothing_is_named(log, extra_config):
    assert build_modifiers(Loader(log), extra_config, "[ENDPOINT: /x]") == Modifiers()
    assert log.lines == []


def test_the_long_key_works_too(log):
    loader = Loader(log)
    loader.register.taker(MODIFIER)(*A)
    assert len(build_modifiers(loader, {LONG: {"name": ["a"]}}, "").requests) == 1
