"""Native functions as attributes of an open library: the request they see, the answers that may go out."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from types import SimpleNamespace

import pytest

from plugmw.dialects.prest.abi import BadReply, Reply
from plugmw.dialects.prest.native import Native, NativeError, Unloadable, answer_of, open_library
from plugmw.kernel.identity import Consumer, Credential
from plugmw.loading.watching import recording
from plugmw.wsgi.answer import Exit
from tests.support.native import HELLO, HELLO_BODY, built, request, resident

LANGUAGES = ("traps.c", "hello.go", "rusty.rs")


@pytest.fixture(scope="module", params=LANGUAGES)
def library(request):
    return open_library(built(request.param))


@pytest.fixture(scope="module")
def traps():
    return open_library(built("traps.c"))


@pytest.fixture(scope="module")
def go():
    return open_library(built("hello.go"))


def test_every_language_answers_the_documented_request(library):
    body, status, headers = library.GETHelloHandler(request(), *HELLO)
    assert (body, status, headers) == (HELLO_BODY, 200, [])


def test_every_language_takes_and_gives_any_bytes_and_repeated_headers(library):
    body, status, headers = library.POSTEchoHandler(request("POST", body=bytes(range(256))), *HELLO)
    assert (body, status) == (bytes(range(256)), 201)
    assert [value for name, value in headers if name == "X-Two"] == ["1", "2"]


def test_every_language_answers_many_threads_at_a_time(library):
    wrong = []

    def ask(number):
        for turn in range(50):
            query = {"n": [f"{number}-{turn}"]}
            if json.loads(library.GETHelloHandler(request(), {}, query)[0])["url_query"] != query:
                wrong.append(query)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_ten_thousand_calls_leave_no_memory_behind_in_any_language(library):
    def round_of(count):
        for _ in range(count):
            library.POSTEchoHandler(request("POST", body=body), *HELLO)

    body = b"x" * 10_000
    round_of(1000)
    before = resident()
    round_of(10_000)
    # Leaking the answers would be 100 MB.
    assert resident() - before < 20 * 1024 * 1024


@pytest.mark.parametrize("source", LANGUAGES[1:])
def test_a_panic_is_an_error_and_the_next_call_is_answered(source):
    library = open_library(built(source))
    with pytest.raises(NativeError, match="GETPanicHandler: panic") as caught:
        library.GETPanicHandler(request(), *HELLO)
    assert caught.value.status == 500
    assert library.GETHelloHandler(request(), *HELLO)[1] == 200


def test_a_function_that_is_not_there_is_named_as_prestd_does(traps):
    with pytest.raises(AttributeError) as caught:
        _ = traps.GETNoHandler
    assert str(caught.value) == "plugin: symbol GETNoHandler not found in plugin traps"
    assert not hasattr(traps, "system")


def test_a_function_is_looked_for_once(traps):
    assert traps.GETHelloHandler is traps.GETHelloHandler


def test_a_library_that_cannot_be_used_has_a_text_for_the_log_and_one_for_clients():
    path = built("no_abi.c")
    with pytest.raises(Unloadable) as caught:
        open_library(path)
    assert str(caught.value).startswith(f"{path}: exports no plugmw_abi and plugmw_free, expected a library")
    assert caught.value.reason == "plugin: symbol plugmw_abi and plugmw_free not found in plugin no_abi"


def test_a_library_is_watched_for_changes(traps):
    with recording() as record:
        open_library(built("traps.c"))
    assert str(built("traps.c")) in record.files


def test_a_library_that_was_replaced_is_the_old_one_and_the_log_says_so(tmp_path, caplog):
    path = tmp_path / "lib.so"
    shutil.copy(built("traps.c"), path)
    open_library(path, logger=logging.getLogger("plugmw"))
    assert caplog.text == ""
    shutil.copy(built("other_abi.c"), tmp_path / "new.so")
    os.replace(tmp_path / "new.so", path)
    library = open_library(path, logger=logging.getLogger("plugmw"))
    assert library.GETHelloHandler(request(), *HELLO)[1] == 200
    assert f"{path}: has changed; this process goes on with what it has loaded before" in caplog.text
    assert open_library(path).GETHelloHandler(request(), *HELLO)[1] == 200


def test_closing_a_library_of_this_process_does_nothing(traps):
    traps.close()
    assert traps.GETHelloHandler(request(), *HELLO)[1] == 200


# -- what a function sees --------------------------------------------------------------------------------


def seen(traps, x):
    return json.loads(traps.GETRequestHandler(x, *HELLO)[0])


def test_a_function_sees_method_path_headers_and_context(traps):
    x = request(
        path="/caf\xc3\xa9/",
        HTTP_X_ONE="1",
        HTTP_HOST="example.com",
        CONTENT_TYPE="text/plain",
        REMOTE_ADDR="192.0.2.7",
    )
    found = seen(traps, x)
    assert (found["method"], found["path"]) == ("GET", "/café/")
    assert found["headers"] == {
        "x-one": "1",
        "host": "example.com",
        "content-type": "text/plain",
        "content-length": "0",
    }
    assert found["context"] == {
        "request_id": x.request_id,
        "client_ip": "192.0.2.7",
        "scheme": "http",
        "host": "example.com",
        "consumer": None,
        "credential": None,
    }


def test_a_function_sees_who_asks_and_no_secret_of_theirs(traps):
    x = request()
    consumer = Consumer(id="7", username="alice")
    x.authenticate(consumer, Credential(id="c1", consumer_id="7", data={"key": "s3cret"}))
    found = seen(traps, x)["context"]
    assert found["consumer"] == {"id": "7", "username": "alice", "custom_id": None}
    assert found["credential"] == "c1"
    assert "s3cret" not in str(found)


def test_bytes_that_are_no_utf8_are_replaced(traps):
    found = seen(traps, request(path="/\xff", HTTP_X_ONE="\xff", REMOTE_ADDR=""))
    assert (found["path"], found["headers"]["x-one"]) == ("/�", "�")
    assert found["context"]["client_ip"] is None


def test_a_body_above_the_limit_is_413_and_the_function_is_not_called(traps):
    x = request("POST", body=b"x" * 11)
    x.runtime.max_request_body = 10
    with pytest.raises(Exit) as caught:
        traps.POSTEchoHandler(x, *HELLO)
    assert caught.value.status == 413


def test_an_answer_above_the_limit_is_an_error(traps):
    x = request("POST", body=b"11")
    x.runtime.max_response_body = 10
    with pytest.raises(NativeError, match="traps: POSTSizeHandler: body: got 11 bytes, expected at most 10"):
        traps.POSTSizeHandler(x, *HELLO)


def test_an_error_of_a_function_is_for_the_log(traps):
    with pytest.raises(NativeError, match='traps: GETFailHandler: the disk is "gone"') as caught:
        traps.GETFailHandler(request(), *HELLO)
    assert caught.value.status == 500


# -- Go as prestd has it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [("GETHelloWithStatusHandler", HELLO_BODY, 202), ("GETMinusHandler", b"minus", 200)],
)
def test_go_functions_may_return_a_status(go, name, body, status):
    assert getattr(go, name)(request(), *HELLO) == (body, status, [])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("GETZeroHandler", "GETZeroHandler returned status 0"),
        ("GETWrongHandler", r"GETWrongHandler is func\(\) int, expected func\(\) string"),
        ("GETUnwritableHandler", "json: unsupported type: chan int"),
    ],
)
def test_go_functions_that_answer_nonsense_fail(go, name, told):
    with pytest.raises(NativeError, match=told):
        getattr(go, name)(request(), *HELLO)


def test_the_globals_of_go_are_those_of_the_call_from_beginning_to_end(go):
    answers = []

    def ask(number):
        answers.append(go.GETSlowHandler(request(), {}, {"n": [str(number)]})[0])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [f"{number}={number}".encode() for number in range(8)]


# -- answers that may go out -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "status"), [(0, 200), (200, 200), (404, 404), (599, 599)], ids=lambda value: str(value)
)
def test_zero_is_200_and_other_statuses_are_themselves(given, status):
    assert answer_of(Reply(given, b"", b"x", b"")) == (b"x", status, [])


@pytest.mark.parametrize("given", [-1, 1, 100, 199, 600, 2**31 - 1])
def test_other_statuses_are_refused(given):
    with pytest.raises(BadReply, match=f"status: got {given}, expected a number between 200 and 599"):
        answer_of(Reply(given, b"", b"x", b""))


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (b"{", "headers: Expecting property name"),
        (b"\xff", "headers: 'utf-8' codec"),
        (b"[]", "headers: expected a JSON object of text or lists of text"),
        (b'{"A": 1}', "expected a JSON object of text"),
        (b'{"A": ["1", 2]}', "expected a JSON object of text"),
        (b'{"A": "x\\r\\nB: y"}', "header A: the value has a control character"),
        (b'{"A b": "x"}', "header name: got 'A b'"),
        (b'{"A": "\\u20ac"}', "header A: the value has a control character or one outside latin-1"),
        (b"[" * 60_000, "headers: "),
    ],
    ids=["half", "no text", "list", "number", "number in list", "split", "name", "euro", "deep"],
)
def test_headers_that_must_not_be_sent_are_refused(headers, told):
    with pytest.raises(BadReply, match=told):
        answer_of(Reply(200, headers, b"", b""))


def test_what_calls_a_library_may_be_anything():
    caller = SimpleNamespace(name="n", has=lambda name: True, call=lambda *given: Reply(204, b"", b"", b""))
    assert Native(caller).GETxHandler(request(), {}, {}) == (b"", 204, [])
