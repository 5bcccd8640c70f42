"""Functions as phases: what may be named, when they are called, what they can do."""

from __future__ import annotations

import itertools
import os
import sys
from types import ModuleType

import pytest

import plugmw
from plugmw import ConfigError, Plugin
from plugmw.contrib._functions import Functions, function_factory
from plugmw.testing import gateway, get
from tests.support.plugins import made
from tests.support.wsgi import environ_of, serve


class Mine(Functions):
    """The class under test, under a name of its own."""

    name, priority = "my-function", 50


@pytest.fixture
def hooks(monkeypatch):
    """A package ``hooks_for_tests`` with a module ``inner``, both with functions."""

    def header(x):
        x.add_header("X-Hook", "1")

    package, inner, other = (ModuleType(name) for name in ("hooks_for_tests", "inner", "hooks_for_tests_too"))
    package.__path__ = []
    package.header = inner.header = other.header = header
    package.number = 5
    for name, module in (("", package), (".inner", inner), ("_too", other)):
        monkeypatch.setitem(sys.modules, f"hooks_for_tests{name}", module)


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "nothing": (
        {},
        "at least one of these fields must be non-empty: "
        "'rewrite', 'access', 'header_filter', 'body_filter', 'log'",
    ),
    "packages alone": ({"packages": ["a"]}, "at least one of these fields must be non-empty"),
    "certificate": (
        {"certificate": ["a:b"], "access": [print]},
        "certificate: there is no request in this phase",
    ),
    "number": ({"access": [5]}, "access[0]: got 5, expected a function as module:name"),
    "empty": ({"log": [""]}, "log[0]: got ''"),
    "no list": ({"access": print}, "access: got <built-in function print>"),
    "bad package": (
        {"access": [print], "packages": ["a-b"]},
        "packages: got ['a-b'], expected a list of names",
    ),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        Mine(**config)
    assert message in str(caught.value)


BAD_NAMES = {
    "Lua": ("print(", "got 'print(', expected package.module:name of a function; texts are never run"),
    "Python": ("lambda x: x", "got 'lambda x: x', expected package.module:name"),
    "no function": ("hooks_for_tests", "got 'hooks_for_tests', expected package.module:name"),
    "file": ("./hooks.py:header", "got './hooks.py:header', expected package.module:name"),
    "attribute of an attribute": ("hooks_for_tests:inner.header", "expected package.module:name"),
    "not permitted": (
        "os:system",
        "got 'os:system', of a module that may not be named, expected a module in",
    ),
    "longer name": ("hooks_for_tests_too:header", "of a module that may not be named"),
    "missing module": ("hooks_for_tests.nothing:header", "import failed: ModuleNotFoundError"),
    "missing function": (
        "hooks_for_tests:nothing",
        "hooks_for_tests has no 'nothing', expected one of header",
    ),
    "no callable": ("hooks_for_tests:number", "hooks_for_tests:number is a int, expected a function"),
}


@pytest.mark.parametrize(("name", "message"), BAD_NAMES.values(), ids=BAD_NAMES)
def test_refuses_a_name(hooks, name, message):
    with pytest.raises(ConfigError) as caught:
        gateway(Mine(log=[print, name], packages=["hooks_for_tests"]))
    assert str(caught.value).startswith("code: plugins[0].log[1]: error parsing my-function: ")
    assert message in str(caught.value)


def test_names_are_refused_unless_a_package_is_permitted(hooks):
    with pytest.raises(ConfigError, match="expected its package in `packages`"):
        gateway(Mine(access=["hooks_for_tests:header"]))


def test_reports_every_bad_name():
    with pytest.raises(ConfigError) as caught:
        gateway(Mine(access=["a"], log=["b"]))
    assert ["access[0]" in str(caught.value), "log[0]" in str(caught.value)] == [True, True]


@pytest.mark.parametrize("name", ["hooks_for_tests:header", "hooks_for_tests.inner:header"])
def test_runs_a_function_that_is_named(hooks, name):
    assert get(Mine(access=[name], packages=["os", "hooks_for_tests"])).headers["X-Hook"] == "1"


def test_a_document_names_functions(hooks):
    entry = {"name": "post-function", "config": {"access": ["hooks_for_tests:header"]}}
    entry["config"]["packages"] = ["hooks_for_tests"]
    assert get(gateway(plugins=[entry])).headers["X-Hook"] == "1"


# -- phases -------------------------------------------------------------------------------------------


def test_has_only_the_phases_with_functions():
    plugin = Mine(access=[print], log=[print])
    gateway(plugin)
    having = [p for p in ("rewrite", "access", "header_filter", "body_filter", "log") if hasattr(plugin, p)]
    assert having == ["access", "log"]
    assert Mine.phases() == ["init_worker", "rewrite", "access", "header_filter", "body_filter", "log"]


def test_functions_run_in_order_once_per_request_in_every_phase():
    journal = []

    def note(text):
        return lambda x: journal.append((x.phase, text))

    lists = {p: [note(1), note(2)] for p in ("rewrite", "access", "header_filter", "body_filter", "log")}
    wrapped = gateway(Mine(**lists))
    for _ in range(2):
        journal.clear()
        get(wrapped)
        phases = ["rewrite", "access", "header_filter", "body_filter", "body_filter", "log"]
        assert journal == [(phase, n) for phase in phases for n in (1, 2)]


def test_what_a_function_returns_is_ignored():
    assert get(Mine(access=[lambda x: 503], body_filter=[lambda x: b"other"])).data == b"hello"


def test_no_function_runs_after_one_that_exits():
    calls = []
    functions = [lambda x: x.ctx.update(status=400), lambda x: x.exit(x.ctx["status"]), calls.append]
    assert (get(Mine(access=functions)).status_code, calls) == (400, [])


EXITS = {
    "nothing": ((503,), 503, b"", None),
    "text": ((404, "Not Found"), 404, b"Not Found", "text/plain; charset=utf-8"),
    "mapping": (
        (406, {"message": "Invalid"}),
        406,
        b'{"message":"Invalid"}',
        "application/json; charset=utf-8",
    ),
}


@pytest.mark.parametrize(("arguments", "status", "body", "kind"), EXITS.values(), ids=EXITS)
@pytest.mark.parametrize("phase", ["rewrite", "access", "header_filter"])
def test_an_exit_is_the_answer(arguments, status, body, kind, phase):
    answer = get(Mine(**{phase: [lambda x: x.exit(*arguments)]}))
    assert (answer.status_code, answer.data, answer.headers.get("Content-Type")) == (status, body, kind)


def fail(x):
    raise ValueError("the text of the error")


@pytest.mark.parametrize("phase", ["rewrite", "access", "header_filter", "body_filter"])
def test_an_error_is_a_neutral_500_and_is_logged(phase, caplog):
    answer = get(Mine(**{phase: [fail]}))
    assert (answer.status_code, answer.json["message"]) == (500, "An unexpected error occurred")
    assert "the text of the error" not in answer.text
    assert "the text of the error" in caplog.text


def test_an_error_in_log_is_logged_and_does_not_matter(caplog):
    assert get(Mine(log=[fail])).status_code == 200
    assert "the text of the error" in caplog.text


def test_an_error_after_the_first_bytes_breaks_the_answer_off():
    def late(x):
        if x.eof:
            fail(x)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        yield b"two"

    result = serve(gateway(Mine(body_filter=[late]), app=app), environ_of())
    assert (result.body, type(result.raised)) == (b"onetwo", ValueError)


def test_log_runs_also_when_the_client_goes_away():
    calls = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"one", b"two"])

    serve(gateway(Mine(log=[calls.append]), app=app), environ_of(), stop_after=1)
    assert len(calls) == 1


# -- bodies -------------------------------------------------------------------------------------------


def shout(x):
    x.chunk = x.chunk.upper() + (b"!" if x.eof else b"")


def test_body_filter_functions_see_and_replace_chunks():
    seen = []
    answer = get(
        Mine(body_filter=[lambda x: seen.append((x.chunk, x.eof)), shout, lambda x: seen.append(x.chunk)])
    )
    assert seen == [(b"hello", False), b"HELLO", (b"", True), b"!"]
    assert (answer.data, answer.headers["Content-Length"]) == (b"HELLO!", "6")


def test_content_length_goes_where_it_is_not_known():
    assert "Content-Length" not in get(Mine(body_filter=[shout]), method="HEAD").headers
    assert "Content-Length" in get(Mine(header_filter=[lambda x: None]), method="HEAD").headers


def test_a_chunk_that_is_no_bytes_is_an_error():
    def text(x):
        x.chunk = "text"

    assert get(Mine(body_filter=[text])).status_code == 500


# -- factories ----------------------------------------------------------------------------------------


def counting(journal):
    @plugmw.function_factory
    def factory():
        journal.append("made")
        seen = itertools.count(1)
        return lambda x: x.add_header("X-Seen", str(next(seen)))

    return factory


def test_a_factory_is_called_once_and_its_function_keeps_state():
    journal = []
    wrapped = gateway(Mine(access=[counting(journal)]))
    assert journal == []
    assert [get(wrapped).headers["X-Seen"] for _ in range(3)] == ["1", "2", "3"]
    assert journal == ["made"]


def test_a_factory_is_called_once_for_each_gateway_that_has_the_plugin():
    journal = []
    plugin = Mine(access=[counting(journal)])
    first, second = gateway(plugin), gateway(plugin)
    found = [get(wrapped).headers["X-Seen"] for wrapped in (first, second, first)]
    assert (found, journal) == (["1", "1", "2"], ["made", "made"])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_factory_is_called_again_in_a_forked_process():
    wrapped = gateway(Mine(access=[counting([])]))
    get(wrapped)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, get(wrapped).headers["X-Seen"].encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"1"


def test_a_factory_that_makes_no_function_refuses_requests(caplog):
    assert get(Mine(access=[function_factory(lambda: 5)])).status_code == 500
    assert "returned int, expected a function" in caplog.text


# -- with other plugins -------------------------------------------------------------------------------


def test_later_plugins_and_the_app_see_an_emptied_query_and_path():
    def clear(x):
        x.environ["QUERY_STRING"] = x.environ["PATH_INFO"] = ""

    saw = []
    later = made("later", 10, access=lambda x: saw.append((x.path, dict(x.request.GET))))
    answer = get([Mine(access=[clear]), later], query_string="a=1", environ={"plugmw.testing.saw": saw})
    assert (answer.status_code, saw[0]) == (200, ("/", {}))
    assert (saw[1]["QUERY_STRING"], saw[1]["PATH_INFO"]) == ("", "")


def test_cannot_be_limited_to_a_consumer():
    with pytest.raises(ConfigError, match="my-function cannot be limited to a consumer"):
        gateway(plugmw.Entry(Mine(access=[print]), consumer="bob"), consumers=[{"username": "bob"}])


def test_works_alone_as_a_middleware():
    app = Mine.middleware(lambda environ, start: start("200 OK", []) or [], access=[lambda x: x.exit(404)])
    assert serve(app, environ_of()).status == "404 Not Found"


def test_is_a_plugin():
    assert issubclass(Functions, Plugin)
