"""Functions by URL, through the plain middleware."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from plugmw import Functions
from plugmw.wsgi.readings import METHODS
from tests.support.wsgi import environ_of, serve
from tests.unit.dialects.prest.conftest import app


def client(path, **config):
    return Client(LintMiddleware(Functions(app, path, **config)))


def error(response, status=404):
    """Return the text of an error that is what it must be: JSON with one member."""
    assert response.status_code == status
    assert response.content_type == "application/json"
    assert list(response.json) == ["error"]
    return response.json["error"]


# -- what a function returns -----------------------------------------------------------------------

DOCUMENT = {
    "http_vars": {"file": "hello", "func": "Hello"},
    "url_query": {"abc": ["123"]},
    "msg": "Hello plugin caller!",
}


def test_the_request_of_the_document_gives_its_response(lib):
    response = client(lib).get("/_PLUGIN/hello/Hello?abc=123")
    assert response.status_code == 200
    assert response.json == DOCUMENT
    assert response.text == json.dumps(DOCUMENT, separators=(",", ":"))


def test_a_status_beside_the_text_is_the_answers_and_the_names_reach_what_is_called_inside(lib):
    response = client(lib).get("/_PLUGIN/hello/HelloWithStatus")
    assert response.status_code == 202
    assert response.json["http_vars"] == {"file": "hello", "func": "HelloWithStatus"}


def test_any_text_goes_out_as_json(lib, write):
    write("text.py", "def GETHtmlHandler(request): return '<b>no JSON</b>'")
    response = client(lib).get("/_PLUGIN/text/Html")
    assert (response.content_type, response.text) == ("application/json", "<b>no JSON</b>")


def test_the_query_is_that_of_the_request_its_names_sorted(lib):
    response = client(lib).get("/_PLUGIN/hello/Hello?b=2&a=1&b=&%C3%BC=%C3%B6")
    assert list(response.json["url_query"].items()) == [("a", ["1"]), ("b", ["2", ""]), ("ü", ["ö"])]


def test_a_function_may_take_the_request_instead_and_see_method_headers_and_body(lib, write):
    write(
        "echo.py",
        "def POSTEchoHandler(r): return [r.method, r.headers['X-A'], r.json]",
    )
    response = client(lib).post("/_PLUGIN/echo/Echo", json={"a": 1}, headers={"X-A": "b"})
    assert response.json == ["POST", "b", {"a": 1}]


# -- which function, and none ----------------------------------------------------------------------


def test_another_method_is_another_function(lib):
    assert error(client(lib).post("/_PLUGIN/hello/Hello")) == (
        "plugin: symbol POSTHelloHandler not found in plugin hello"
    )


WRONG = "plugin handler GETXHandler is not func() string or func() (string, int)"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, 'plugin.Open("x"): realpath failed'),
        ("", "plugin: symbol GETXHandler not found in plugin x"),
        ("GETXHandler = 5", "plugin: symbol GETXHandler not found in plugin x"),
        ("from functools import reduce as GETXHandler", "plugin: symbol GETXHandler not found in plugin x"),
        ("def GETXHandler(): return ''", "plugin: symbol HTTPVars not found in plugin x"),
        ("HTTPVars = {}\ndef GETXHandler(): return ''", "plugin: symbol URLQuery not found in plugin x"),
        ("def GETXHandler(a, b): return ''", WRONG),
        ("def GETXHandler(r): return 5", WRONG),
        ("async def GETXHandler(r): return ''", WRONG),
        ("import nothing_of_this_name", 'plugin.Open("x"): cannot be loaded'),
        ("def broken(", 'plugin.Open("x"): cannot be loaded'),
    ],
    ids=[
        "no-file",
        "no-function",
        "no-callable",
        "imported",
        "no-HTTPVars",
        "no-URLQuery",
        "two-arguments",
        "wrong-type",
        "coroutine",
        "import-fails",
        "syntax",
    ],
)
def test_what_cannot_be_called_is_a_404_with_its_reason_in_valid_json(lib, write, source, reason):
    if source is not None:
        write("x.py", source)
    assert error(client(lib).get("/_PLUGIN/x/X")) == reason


def test_the_body_of_an_error_is_indented_by_a_tab_as_prestds(lib):
    response = client(lib).get("/_PLUGIN/x/X")
    assert response.text == '{\n\t"error": "plugin.Open(\\"x\\"): realpath failed"\n}'


@pytest.mark.slow
def test_in_compat_the_globals_are_needed_whatever_the_function_takes_and_are_asked_for_first(lib, write):
    write("x.py", "def GETXHandler(request): return '1'")
    assert client(lib).get("/_PLUGIN/x/X").text == "1"
    compat = client(lib, compat=True)
    assert error(compat.get("/_PLUGIN/x/X")) == "plugin: symbol HTTPVars not found in plugin x"
    assert error(compat.get("/_PLUGIN/x/No")) == "plugin: symbol HTTPVars not found in plugin x"
    assert compat.get("/_PLUGIN/hello/Hello").status_code == 200


# -- variables of a request ------------------------------------------------------------------------


@pytest.mark.slow
def test_parallel_calls_never_see_each_others_variables(lib, write):
    write(
        "slow.py",
        """
        import json, threading
        HTTPVars = {}
        URLQuery = {}
        barrier = threading.Barrier(8)

        def GETSlowHandler():
            before = URLQuery["n"][0]
            barrier.wait(10)
            return json.dumps([before, URLQuery["n"][0], HTTPVars["func"]])
        """,
    )
    served = Functions(app, lib)

    def ask(number):
        return Client(served).get(f"/_PLUGIN/slow/Slow?n={number}").json

    ask_first = Client(served).get("/_PLUGIN/slow/No")  # loads it
    assert ask_first.status_code == 404
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(32))) == [[str(n), str(n), "Slow"] for n in range(32)]


def test_a_thread_that_a_function_starts_sees_no_request(lib, write):
    write(
        "thread.py",
        """
        import threading
        HTTPVars: dict
        URLQuery: dict
        def GETThreadHandler():
            seen = []
            thread = threading.Thread(target=lambda: seen.append([HTTPVars, URLQuery]))
            thread.start()
            thread.join()
            return seen
        """,
    )
    assert client(lib).get("/_PLUGIN/thread/Thread?a=1").json == [[{}, {}]]


def test_the_variables_are_plain_dicts_of_their_own_for_each_request(lib, write):
    write(
        "dicts.py",
        """
        HTTPVars = {}
        URLQuery = {}
        def GETDictsHandler():
            found = [type(HTTPVars) is dict, type(URLQuery) is dict, "more" in HTTPVars, HTTPVars is HTTPVars]
            HTTPVars["more"] = "1"
            return found
        """,
    )
    served = client(lib)
    for _ in range(2):
        assert served.get("/_PLUGIN/dicts/Dicts").json == [True, True, False, True]


# -- loading ---------------------------------------------------------------------------------------


def test_a_file_that_was_called_stays_as_it_was(lib, write):
    write("x.py", "def GETXHandler(r): return 'old'")
    served = client(lib)
    assert served.get("/_PLUGIN/x/X").text == "old"
    write("x.py", "def GETXHandler(r): return 'changed'").exists()
    assert served.get("/_PLUGIN/x/X").text == "old"
    assert client(lib).get("/_PLUGIN/x/X").text == "changed"


def test_a_file_that_was_missing_works_once_it_is_there(lib, write):
    served = client(lib)
    assert served.get("/_PLUGIN/x/X").status_code == 404
    write("x.py", "def GETXHandler(r): return 'there'")
    assert served.get("/_PLUGIN/x/X").text == "there"


@pytest.mark.slow
def test_a_file_that_failed_stays_failed_until_it_changes(lib, write, caplog):
    write("x.py", "raise RuntimeError('at load')")
    served = client(lib)
    assert error(served.get("/_PLUGIN/x/X")) == 'plugin.Open("x"): cannot be loaded'
    for _ in range(2):
        assert error(served.get("/_PLUGIN/x/X")) == 'plugin.Open("x"): cannot be loaded (previous failure)'
    assert caplog.text.count("RuntimeError: at load") == 1
    write("x.py", "def GETXHandler(r): return 'mended'")
    assert served.get("/_PLUGIN/x/X").text == "mended"


def test_with_reload_a_changed_file_is_loaded_again(lib, write):
    write("x.py", "def GETXHandler(r): return 'old'")
    served = client(lib, reload=True)
    assert [served.get("/_PLUGIN/x/X").text for _ in range(2)] == ["old", "old"]
    path = write("x.py", "def GETXHandler(r): return 'changed'")
    assert served.get("/_PLUGIN/x/X").text == "changed"
    path.unlink()
    assert served.get("/_PLUGIN/x/X").status_code == 404


def test_nothing_is_imported_before_the_first_request_for_it(lib, write, tmp_path):
    sign = tmp_path / "imported"
    write("x.py", f"open({str(sign)!r}, 'w').close()\ndef GETXHandler(r): return ''")
    served = client(lib)
    served.get("/_PLUGIN/hello/Hello")
    served.get("/_PLUGIN/x-y/X")
    assert not sign.exists()
    served.get("/_PLUGIN/x/X")
    assert sign.exists()


def test_eight_threads_load_a_file_once(lib, write):
    write("x.py", "import threading\nname = __name__\ndef GETXHandler(r): return name")
    served = Functions(app, lib)
    start = threading.Barrier(8)

    def ask(_):
        start.wait(10)
        return Client(served).get("/_PLUGIN/x/X").text

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


# -- names -----------------------------------------------------------------------------------------

#: What must be a 404 and never leave the folder; `secret.py` is beside it. As sent in a request line.
TRAVERSALS = [
    "/_PLUGIN/../secret/X",
    "/_PLUGIN/..%2fsecret/X",
    "/_PLUGIN/%2e%2e%2fsecret/X",
    "/_PLUGIN/..%252fsecret/X",
    "/_PLUGIN/..%5csecret/X",
    "/_PLUGIN/..\\secret/X",
    "/_PLUGIN/.%2e/secret/X",
    "/_PLUGIN/hello%2f..%2f..%2fsecret/X",
    "/_PLUGIN/secret%00/X",
    "/_PLUGIN/hello%00.py/Hello",
    "/_PLUGIN/.hidden/X",
    "/_PLUGIN/%2ehidden/X",
    "/_PLUGIN/hello.py/Hello",
    "/_PLUGIN//hello/Hello",
    "/_PLUGIN/%2ftmp%2fsecret/X",
    "/_PLUGIN/middlewares%2finner/X",
    "/_PLUGIN/middlewares/inner/X",
    "/_PLUGIN/linked/X",
    "/_PLUGIN/h%C3%A9llo/Hello",
    "/_PLUGIN/hello%0a/Hello",
    "/_PLUGIN/hello/Hello%0a",
    "/_PLUGIN/hello/__class__",
    "/_PLUGIN/hello/..%2f",
    "/_PLUGIN/hello",
    "/_PLUGIN/",
    "/_PLUGIN",
]


@pytest.fixture
def traps(lib, write, tmp_path):
    """Files that must not be loaded: each leaves a sign."""
    sign = tmp_path / "imported"
    text = f"open({str(sign)!r}, 'w').close()\ndef GETXHandler(r): return 'secret'"
    for name in ("../secret.py", ".hidden.py", "middlewares/inner.py"):
        write(name, text)
    (tmp_path / "lib" / "linked.py").symlink_to(tmp_path / "secret.py")
    return sign


@pytest.mark.parametrize("target", TRAVERSALS)
def test_a_name_that_is_none_is_a_404_and_nothing_is_loaded(lib, traps, target):
    assert error(client(lib).get(target))
    assert not traps.exists()


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/_PLUGINS/hello/Hello",
        "/x/../_PLUGIN/hello/Hello",
        "//_PLUGIN/hello/Hello",
        "/_plugin/hello/Hello",
    ],
)
def test_other_paths_are_the_apps(lib, target):
    environ = EnvironBuilder().get_environ()
    body, *_ = run_wsgi_app(Functions(app, lib), {**environ, "PATH_INFO": target}, buffered=True)
    assert b"".join(body) == b"the app"


def test_a_link_inside_of_the_folder_is_followed(lib, tmp_path):
    (tmp_path / "lib" / "also.py").symlink_to("hello.py")
    assert client(lib).get("/_PLUGIN/also/Hello").json["http_vars"] == {"file": "also", "func": "Hello"}


def test_the_prefix_is_below_where_the_app_is_mounted(lib):
    served = client(lib, prefix="/api/fn")
    assert served.get("/fn/hello/Hello", "http://localhost/api").status_code == 200
    assert served.get("/api/fn/hello/Hello").status_code == 200
    assert served.get("/_PLUGIN/hello/Hello").text == "the app"


def test_a_slash_at_the_end_redirects_to_the_path_without_it(lib):
    served = Client(Functions(app, lib))
    response = served.get("/_PLUGIN/hello/Hello/?abc=123")
    assert (response.status_code, response.headers["Location"]) == (301, "/_PLUGIN/hello/Hello?abc=123")
    assert served.post("/_PLUGIN/hello/Hello/").headers["Location"] == "/_PLUGIN/hello/Hello"


# -- what fails ------------------------------------------------------------------------------------


def test_an_exception_is_a_500_without_its_text_which_is_in_the_log(lib, write, caplog):
    write("x.py", "def GETXHandler(r): raise RuntimeError('the password is 1234')")
    response = client(lib).get("/_PLUGIN/x/X")
    assert error(response, 500) == "An unexpected error occurred"
    assert "GETXHandler of x failed" in caplog.messages[0]
    assert "the password is 1234" in caplog.text


@pytest.mark.parametrize(
    "returned",
    [
        "('', 0)",
        "('', 99)",
        "('', 101)",
        "('', 600)",
        "('', 200, {'X-A': 'a\\r\\nb'})",
        "('', 200, 5)",
        "{'a': object()}",
        "'\\ud800'",
    ],
)
def test_an_answer_that_cannot_be_sent_is_a_500(lib, write, returned):
    write("x.py", f"def GETXHandler(r): return {returned}")
    assert error(client(lib).get("/_PLUGIN/x/X"), 500) == "An unexpected error occurred"


def test_a_wrong_type_is_logged_with_what_it_was(lib, write, caplog):
    write("x.py", "def GETXHandler(r): return None")
    client(lib).get("/_PLUGIN/x/X")
    assert "GETXHandler of x failed: got NoneType" in caplog.messages[0]


def test_what_a_post_returned_is_never_the_answer_to_a_get(lib, write):
    write("x.py", "def GETXHandler(r): return 'got'\ndef POSTXHandler(r): return 'posted'")
    served = client(lib)
    texts = [served.open("/_PLUGIN/x/X?a=1", method=method).text for method in ("POST", "GET", "POST")]
    assert texts == ["posted", "got", "posted"]


def test_a_wsgi_callable_answers_itself_and_streams(lib, write):
    write(
        "x.py",
        """
        def answer(environ, start_response):
            start_response("203 Streamed", [("X-Path", environ["PATH_INFO"]), ("Content-Type", "text/plain")])
            yield b"one"
            yield b"two"

        def GETXHandler(request):
            return answer

        def GETBrokenHandler(request):
            def broken(environ, start_response):
                start_response("200 OK", [])
                raise RuntimeError("half-way")
            return broken
        """,
    )
    response = Client(Functions(app, lib)).get("/_PLUGIN/x/X")
    assert (response.status, response.text) == ("203 Streamed", "onetwo")
    assert response.headers["X-Path"] == "/_PLUGIN/x/X"
    result = serve(Functions(app, lib), environ_of("/_PLUGIN/x/Broken"))
    assert (result.status[:3], json.loads(result.body)) == ("500", {"error": "An unexpected error occurred"})


def test_a_webob_response_is_sent_as_it_is(lib, write):
    write(
        "x.py",
        """
        import webob
        def GETXHandler(request): return webob.Response(b"<b>", status=418, headerlist=[("X-A", "b")])
        """,
    )
    response = client(lib).get("/_PLUGIN/x/X")
    assert (response.status_code, response.text, response.headers["X-A"]) == (418, "<b>", "b")


@pytest.mark.parametrize(("failed", "status"), [(503, 503), (504, 504), (599, 599)])
def test_what_a_library_fails_with_is_the_status_without_its_text(lib, monkeypatch, caplog, failed, status):
    from plugmw.dialects.prest.loading import Failed, Folder

    def fail(self, name):
        raise Failed(failed, "worker 17 is busy")

    monkeypatch.setattr(Folder, "open", fail)
    assert "worker" not in error(client(lib).get("/_PLUGIN/x/X"), status)
    assert "GETXHandler of x failed: worker 17 is busy (request" in caplog.messages[0]


def test_an_exit_of_the_exchange_is_an_answer(lib, write):
    write(
        "x.py",
        "from plugmw.wsgi.answer import leave\ndef GETXHandler(r): leave(413, {'message': 'too much'})",
    )
    response = client(lib).get("/_PLUGIN/x/X")
    assert (response.status_code, response.json) == (413, {"message": "too much"})


# -- HEAD and OPTIONS ------------------------------------------------------------------------------


def test_head_is_answered_by_the_get_function_without_its_body(lib):
    response = client(lib).head("/_PLUGIN/hello/Hello?abc=123")
    assert (response.status_code, response.data) == (200, b"")
    assert response.content_length == len(client(lib).get("/_PLUGIN/hello/Hello?abc=123").data)


def test_head_is_answered_by_a_function_of_its_own_first(lib, write):
    write("x.py", "def GETXHandler(r): return 'a'\ndef HEADXHandler(r): return '', 204")
    assert client(lib).head("/_PLUGIN/x/X").status_code == 204


def test_in_compat_head_needs_a_function_of_its_own(lib):
    response = client(lib, compat=True).head("/_PLUGIN/hello/Hello")
    assert (response.status_code, response.data) == (404, b"")


def test_options_is_a_method_like_others(lib, write):
    write("x.py", "def OPTIONSXHandler(r): return '', 204, {'Allow': 'OPTIONS'}")
    response = client(lib).options("/_PLUGIN/x/X")
    assert (response.status_code, response.headers["Allow"]) == (204, "OPTIONS")
    assert error(client(lib).options("/_PLUGIN/hello/Hello"))


def test_what_is_no_method_of_go_finds_nothing(lib, write):
    write("x.py", "def GETXHandler(r): return 'a'")
    assert error(client(lib).open("/_PLUGIN/x/X", method="M-SEARCH"))
    assert error(client(lib).open("/_PLUGIN/x/X", method="get"))


#: What stands between a slash and the end of a name, and the method before it, spell the function's name.
CUTS = [("GETS", "ecret"), ("POSTW", "ipe"), ("GETSecretHandler", ""), ("G", "ETSecret"), ("GE", "TSecret")]


@pytest.mark.parametrize(("method", "func"), CUTS)
@pytest.mark.parametrize("compat", [False, True])
def test_no_method_takes_letters_of_the_functions_name(lib, write, method, func, compat):
    write(
        "admin.py",
        "HTTPVars = {}\nURLQuery = {}\n"
        "def GETSecretHandler(r): return 'secret'\ndef POSTWipeHandler(r): return 'wiped'",
    )
    url = f"/_PLUGIN/admin/{func}"
    response = client(lib, compat=compat).open(url, method=method)
    assert response.status_code == 404
    assert "secret" not in response.text
    assert "wiped" not in response.text


def test_of_the_methods_that_functions_have_none_begins_with_another():
    assert [(one, two) for one in METHODS for two in METHODS if one != two and two.startswith(one)] == []


def test_logs_go_to_the_logger_that_is_given(lib, write, caplog):
    write("x.py", "raise RuntimeError('at load')")
    Client(Functions(app, lib, logger=logging.getLogger("mine"))).get("/_PLUGIN/x/X")
    assert [record.name for record in caplog.records] == ["mine.functions"]
