"""Plugin files by name. What is served of them is in test_functions."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import pytest

from plugmw.dialects.prest import loading, native
from plugmw.dialects.prest.loading import Failed, Folder, NotServed, _told, accepts, find

LOG = logging.getLogger("plugmw.test")
X = "def GETXHandler(r): return 'x'"


def loaded(suffix):
    return [name for name in sys.modules if name.startswith("plugmw_loaded_") and name.endswith(suffix)]


@pytest.mark.parametrize("name", ["", ".", "..", "a.b", "a/b", "a b", "é", "a\n", "a\0", "-a", "C:a"])
def test_a_name_is_letters_digits_and_underscore(lib, name):
    assert find(lib, name) is None


def test_python_comes_before_a_library(lib, write):
    write("both.so", "")
    assert find(lib, "both")[0].endswith("both.so")
    write("both.py", "")
    assert find(lib, "both")[0].endswith("both.py")


def test_folders_and_links_that_lead_out_or_nowhere_are_not_there(lib, tmp_path):
    (tmp_path / "lib" / "folder.py").mkdir()
    (tmp_path / "lib-outside.py").write_text("", encoding="utf-8")
    (tmp_path / "lib" / "out.py").symlink_to(tmp_path / "lib-outside.py")
    (tmp_path / "lib" / "loop.py").symlink_to("loop.py")
    assert [find(lib, name) for name in ("folder", "out", "loop")] == [None] * 3


def test_the_folder_itself_may_be_a_link(lib, tmp_path):
    (tmp_path / "current").symlink_to("lib")
    assert find(str(tmp_path / "current"), "hello")


def test_a_missing_folder_has_no_files(tmp_path):
    assert find(str(tmp_path / "nowhere"), "hello") is None


def test_closing_forgets_the_modules(lib, write):
    write("forgotten.py", X)
    folder = Folder(lib, LOG)
    first = folder.open("forgotten")
    assert len(loaded("_forgotten")) == 1
    folder.close()
    assert loaded("_forgotten") == []
    assert folder.open("forgotten") is not first
    folder.close()


def test_a_file_that_is_loaded_again_replaces_the_one_before(lib, write):
    write("again.py", X)
    folder = Folder(lib, LOG, reload=True)
    folder.open("again")
    write("again.py", X + " + 'longer'")
    folder.open("again")
    assert len(loaded("_again")) == 1
    folder.close()


def test_another_thread_may_have_loaded_it_meanwhile(lib, write, monkeypatch):
    write("x.py", X)
    folder = Folder(lib, LOG)
    was = loading.find

    def slow(path, name):
        stamp = was(path, name)
        monkeypatch.setattr(loading, "find", was)
        slow.first = folder.open(name)
        return stamp

    monkeypatch.setattr(loading, "find", slow)
    assert folder.open("x") is slow.first


def test_the_log_of_a_bug_in_loading_has_its_traceback(lib, write, monkeypatch, caplog):
    write("x.py", X)
    monkeypatch.setattr(loading, "declared", lambda module: 1 / 0)
    with pytest.raises(NotServed, match="cannot be loaded"):
        Folder(lib, LOG).open("x")
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("function", "counts"),
    [
        (lambda: 0, {0}),
        (lambda a: 0, {1}),
        (lambda a=1: 0, {0, 1}),
        (lambda *a: 0, {0, 1, 3}),
        (lambda *, a: 0, set()),
        (5, set()),
        (dict.get, {3}),
    ],
)
def test_the_arguments_of_a_function_are_counted(function, counts):
    assert {count for count in (0, 1, 3) if accepts(function, count)} == counts


# -- libraries, whose own tests are in native/ -----------------------------------------------------


@pytest.fixture
def library(monkeypatch, write, lib):
    """Stand in for the library `n.so`; its GETBrokenHandler fails."""
    write("n.so", "")

    def broken(x, http_vars, url_query):
        raise native.NativeError(504, "too late")

    made = SimpleNamespace(
        GETHelloHandler=lambda x, http_vars, url_query: (b"{}", 202, [(http_vars["func"], str(url_query))]),
        GETBrokenHandler=broken,
        close=lambda: made.closed.append(1),
        closed=[],
    )
    monkeypatch.setattr(
        native, "open_library", lambda path, **options: vars(made).setdefault("options", options) and made
    )
    return made


def call():
    made = loading.Call({"QUERY_STRING": "a=1"}, None)
    made.http_vars = {"file": "n", "func": "Hello"}
    return made


def test_the_functions_of_a_library_are_called_with_exchange_and_variables(lib, library):
    folder = Folder(lib, LOG, isolate=True)
    answer = folder.open("n").function("GETHelloHandler")(call())
    assert answer == (b"{}", 202, [("Hello", "{'a': ['1']}")])
    assert library.options == {"isolate": True, "logger": LOG}
    folder.close()
    assert library.closed == [1]


def test_what_a_library_does_not_have_is_not_served(lib, library):
    with pytest.raises(NotServed, match="plugin: symbol GETNoHandler not found in plugin n"):
        Folder(lib, LOG).open("n").function("GETNoHandler")


def test_a_failing_call_of_a_library_has_its_status(lib, library):
    with pytest.raises(Failed, match="too late") as caught:
        Folder(lib, LOG).open("n").function("GETBrokenHandler")(call())
    assert caught.value.status == 504


def test_a_library_that_fails_to_start_is_tried_again(lib, library, monkeypatch):
    folder = Folder(lib, LOG)
    with monkeypatch.context() as patch:

        def busy(path, **options):
            raise native.NativeError(503, "busy")

        patch.setattr(native, "open_library", busy)
        for _ in range(2):
            with pytest.raises(Failed, match="busy"):
                folder.open("n")
    assert folder.open("n")


def test_a_file_that_is_no_library_is_a_reason_for_clients(lib, write, caplog):
    write("bad.so", "no ELF")
    with pytest.raises(NotServed) as caught:
        Folder(lib, LOG).open("bad")
    assert str(caught.value) == 'plugin.Open("bad"): cannot be loaded'
    assert "bad.so" in caplog.text


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((b"no such thing", 404, []), ("no such thing", 404, [])),
        ((b"fine", 200, []), (b"fine", 200, [])),
        ((b"\xff", 500, []), (b"\xff", 500, [])),
    ],
    ids=["error", "good", "no text"],
)
def test_an_error_of_a_library_is_text(answer, told):
    assert _told(answer) == told
