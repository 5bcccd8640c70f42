"""Request bodies read once for everybody, and files that stay files."""

from __future__ import annotations

import io
from wsgiref.util import FileWrapper

import pytest
from werkzeug.wsgi import FileWrapper as WerkzeugFileWrapper

from plugmw.wsgi import body
from tests.support.wsgi import environ_of


def request(data=b"", length=None, **extra):
    environ = {"wsgi.input": io.BytesIO(data), **extra}
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    return environ_of(**environ)


@pytest.mark.parametrize(("text", "length"), [("", None), ("0", 0), ("12", 12), (None, None)])
def test_a_length_is_digits_or_absent(text, length):
    environ = {} if text is None else {"CONTENT_LENGTH": text}
    assert body.content_length(environ) == length


@pytest.mark.parametrize("text", ["+1", "-1", " 1", "1_0", "0x1", "1.0", "x", "\u0661"])
def test_anything_else_is_no_length(text):
    with pytest.raises(body.BadLength):
        body.content_length({"CONTENT_LENGTH": text})


READS = {
    "by its length": (request(b"12345678", "5"), b"12345"),
    "none declared": (request(b"12345678"), b""),
    "to the end when the server ends it": (
        request(b"12345678", **{"wsgi.input_terminated": True}),
        b"12345678",
    ),
    "empty": (request(b"", "0"), b""),
}


@pytest.mark.parametrize(("environ", "data"), READS.values(), ids=READS)
def test_a_body_is_read(environ, data):
    assert body.read_request(environ, 100) == data
    assert environ["CONTENT_LENGTH"] == str(len(data))
    assert environ["wsgi.input_terminated"] is True
    assert environ["wsgi.input"].read() == data


def test_a_body_that_was_read_is_given_again_from_the_start():
    environ = request(b"12345", "5")
    body.read_request(environ, 10)
    environ["wsgi.input"].read(2)
    assert body.read_request(environ, 10) == b"12345"
    assert environ["wsgi.input"].tell() == 0
    with pytest.raises(body.BodyTooLarge):
        body.read_request(environ, 4)


def test_a_body_that_somebody_put_in_its_place_is_read_anew():
    environ = request(b"12345", "5")
    body.read_request(environ, 10)
    environ["wsgi.input"] = io.BytesIO(b"other")
    assert body.read_request(environ, 10) == b"other"


class Endless(io.RawIOBase):
    """A stream without an end that counts what was read of it."""

    taken = 0

    def read(self, size=-1):
        assert 0 < size <= 65536
        self.taken += size
        return b"x" * size


def test_what_is_declared_too_large_is_not_read_and_what_grows_too_large_no_further():
    declared = Endless()
    with pytest.raises(body.BodyTooLarge):
        body.read_request(request(length="101", **{"wsgi.input": declared}), 100)
    assert declared.taken == 0
    chunked = Endless()
    with pytest.raises(body.BodyTooLarge):
        body.read_request(request(**{"wsgi.input": chunked, "wsgi.input_terminated": True}), 100_000)
    assert chunked.taken <= 200_000


def test_half_a_body_does_not_pass_for_a_whole_one():
    with pytest.raises(body.Incomplete) as caught:
        body.read_request(request(b"123", "5"), 100)
    assert caught.value.args == (3, 5)


@pytest.mark.parametrize(("length", "declared"), [("5", 5), (None, None)])
def test_a_connection_that_breaks_in_the_body_is_half_a_body(length, declared):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            found = super().read(2)
            if not found:
                raise ConnectionResetError
            return found

    broken = {"wsgi.input": Broken(b"1234"), "wsgi.input_terminated": True}
    with pytest.raises(body.Incomplete) as caught:
        body.read_request(request(length=length, **broken), 100)
    assert caught.value.args == (4, declared)


def test_a_stream_that_gives_little_at_a_time_is_read_to_its_length():
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 2))

    assert body.read_request(request(length="5", **{"wsgi.input": Slow(b"1234567")}), 100) == b"12345"


def test_a_replaced_body_is_not_chunked_any_more():
    environ = request(HTTP_TRANSFER_ENCODING="chunked")
    body.replace_request(environ, b"abc")
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert environ["CONTENT_LENGTH"] == "3"


# -- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", [FileWrapper, WerkzeugFileWrapper])
def test_a_file_wrapper_is_made_again_with_the_end_noted(wrapper):
    ended = []
    inner = wrapper(io.BytesIO(b"1234567"), 3)
    made = body.rewrap_file({"wsgi.file_wrapper": wrapper}, inner, lambda: ended.append(1))
    assert type(made) is wrapper
    assert list(made) == [b"123", b"456", b"7"]
    made.close()
    assert ended == [1]


def test_the_file_stays_reachable_behind_it(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a\nb\n")
    with path.open("rb") as file:
        closing = body.ClosingFile(file, lambda: None)
        assert closing.fileno() == file.fileno()
        assert closing.mode == "rb"
        assert list(closing) == [b"a\n", b"b\n"]
        closing.seek(0)
        assert closing.read() == b"a\nb\n"
        with pytest.raises(AttributeError):
            closing.nothing_like_that


class Useless:
    """A file wrapper of a server that hides its file."""

    def __init__(self, *args):
        self.args = args


class Bare(Useless):
    """One that is not closed."""

    filelike = io.BytesIO()


NOT_FILES = {
    "no wrapper": (None, [b""]),
    "a function": (lambda file, size: [b""], [b""]),
    "another iterable": (FileWrapper, [b""]),
    "a hidden file": (Useless, Useless()),
    "never closed": (Bare, Bare()),
}


@pytest.mark.parametrize(("wrapper", "iterable"), NOT_FILES.values(), ids=NOT_FILES)
def test_everything_else_is_left_to_the_caller(wrapper, iterable):
    assert body.rewrap_file({"wsgi.file_wrapper": wrapper}, iterable, lambda: None) is None


def test_a_file_that_is_false_is_a_file():
    class False_(io.BytesIO):
        def __bool__(self):
            return False

    inner = FileWrapper(False_(b"x"), 1)
    assert body.rewrap_file({"wsgi.file_wrapper": FileWrapper}, inner, lambda: None) is not None
