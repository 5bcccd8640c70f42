"""Files: read JSON, YAML and TOML by extension; every way a file can be bad is a :class:`ConfigError`.

Syntax errors carry the line: ``gateway.json:12: not JSON at column 5: expecting value``.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping

from plugmw.documents.document import Document
from plugmw.documents.environment import expand, override
from plugmw.documents.plain_data import TOO_DEEP, Repeated, kind_of, plain_mapping
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.loading.regular import read_regular
from plugmw.loading.watching import digest, note

Source = str | os.PathLike[str] | Mapping[str, object] | None

# Byte order marks, the longer ones first: the one of UTF-32 begins with the one of UTF-16.
BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "UTF-8 with a byte order mark",
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
# No format allows these; tab, line feed and carriage return are text.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
#: What is expected in place of a template of KrakenD's flexible configuration.
RENDERED = "the file that KrakenD makes of it: FC_ENABLE=1 FC_OUT=krakend.json krakend check -c FILE"
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
# A key of more parts than anybody writes: readers of TOML take the square of their number, and the stack.
DEEP_KEY = re.compile(
    rf"(?m)(?:^[ \t]*(?:\[{{1,2}}[ \t]*)?|[{{,][ \t]*){_PART}(?:[ \t]*\.[ \t]*{_PART}){{100}}"
)
# tomllib tells the position only in its text before Python 3.14, and there too.
TOML_POSITION = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


def load(source: Source, *, environ: Mapping[str, str] = os.environ, empty: bool = False) -> Document:
    """Read a document from a file, from a mapping given in code, or make an empty one from None.

    Only files get overrides and placeholders from ``environ``: a mapping is copied and taken as it is.
    With ``empty`` a file may have nothing in it. Raises :class:`ConfigError`, or :class:`ConfigErrors` with
    all that is wrong.
    """
    if source is None:
        return Document({})
    if isinstance(source, Mapping):
        return Document(_checked(source, None))
    if not isinstance(source, (str, os.PathLike)):
        raise ConfigError("", f"got {type(source).__name__}", "a path, a mapping or None")
    document = read(os.fsdecode(source), empty=empty)
    errors = override(document, environ) + expand(document, environ)
    if errors:
        raise ConfigErrors(errors)
    return document


def read(path: str, extension: str | None = None, *, empty: bool = False) -> Document:
    """Read one file as it is, without the environment.

    ``extension`` says what it is if its name does not; with ``empty`` it may have nothing in it.
    """
    if os.path.isdir(path):
        raise ConfigError("", "is a directory", "a file", path)
    parse = _parser(path if extension is None else path + extension)
    content = _content(path)
    note(path, content)
    text = _text(content, path)
    if not text.strip() and not empty:
        raise ConfigError("", "is empty", "a mapping", path)
    try:
        data = parse(text, path) if text.strip() else {}
    except RecursionError:
        raise ConfigError("", TOO_DEEP, "a flatter document", path) from None
    if data is None:  # null, or nothing but comments
        raise ConfigError("", "is empty", "a mapping", path)
    if not isinstance(data, dict):
        raise ConfigError("", f"got {kind_of(data)} at the top level", "a mapping", path)
    return Document(_checked(data, path), path, {os.path.abspath(path): digest(content)})


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Return a hash of the content of a file: it changes when the content does, and only then.

    Compare with ``Document.fingerprints``, which is of the very bytes that were read.
    """
    return digest(_content(os.fsdecode(path)))


def _checked(value: Mapping[str, object], source: str | None) -> dict[str, object]:
    errors: list[ConfigError] = []
    data = plain_mapping(value, source, errors)
    if errors:
        raise ConfigErrors(errors)
    return data


def _content(path: str) -> bytes:
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConfigError("", "is not a regular file", "a file", path)
    try:
        return read_regular(path)
    except FileNotFoundError:
        raise ConfigError("", "no such file", source=path) from None
    except (OSError, ValueError) as exc:  # a ValueError is for NUL in the path
        reason = getattr(exc, "strerror", None) or str(exc)
        raise ConfigError("", f"cannot be read: {reason.lower()}", source=path) from None


def _text(content: bytes, source: str) -> str:
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            raise ConfigError("", encoding, "UTF-8 without a byte order mark", f"{source}:1")
    try:
        text = content.decode()
    except UnicodeDecodeError as exc:
        line = content[: exc.start].count(b"\n") + 1
        raise ConfigError("", f"byte 0x{content[exc.start]:02x}", "UTF-8 text", f"{source}:{line}") from None
    if match := CONTROL.search(text):
        where = f"{source}:{_line(text, match.start())}"
        raise ConfigError("", f"control character {match[0]!r}", "a text file", where)
    return text


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _parser(path: str) -> Callable[[str, str], object]:
    extension = os.path.splitext(path)[1].lower()
    parsers = {".json": parse_json, ".yaml": _parse_yaml, ".yml": _parse_yaml, ".toml": parse_toml}
    if extension not in parsers:
        problem = f'extension "{extension}"' if extension else "no extension"
        if extension == ".tmpl":
            raise ConfigError("", "is a template", RENDERED, path)
        raise ConfigError("", problem, ".json, .yaml, .yml or .toml", path)
    return parsers[extension]


def parse_json(text: str, source: str) -> object:
    """Read JSON; NaN, infinities and repeated keys are left to :func:`plain`, which knows their place."""
    try:
        return json.loads(text, object_pairs_hook=Repeated.of)
    except json.JSONDecodeError as exc:
        if "{{" in text[max(exc.pos - 1, 0) : exc.pos + 2]:
            problem = f"not JSON at column {exc.colno}, but a template"
            raise ConfigError("", problem, RENDERED, f"{source}:{exc.lineno}") from None
        problem = f"not JSON at column {exc.colno}: {exc.msg[:1].lower()}{exc.msg[1:]}"
        raise ConfigError("", problem, source=f"{source}:{exc.lineno}") from None
    except ValueError:
        raise _too_many_digits(source) from None


def parse_toml(text: str, source: str) -> dict[str, object]:
    """Read TOML; its dates are left to :func:`plain`."""
    try:
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
    except ImportError:
        expected = "it installed: pip install tomli"
        raise ConfigError("", "tomli, which TOML needs, is missing", expected, source) from None
    if match := DEEP_KEY.search(text):
        raise ConfigError("", TOO_DEEP, "a flatter document", f"{source}:{_line(text, match.start())}")
    try:
        tables: dict[str, object] = tomllib.loads(text)
        return tables
    except tomllib.TOMLDecodeError as exc:
        raise _toml_error(str(exc), text, source) from None
    except ValueError:
        raise _too_many_digits(source) from None


def _toml_error(message: str, text: str, source: str) -> ConfigError:
    match = TOML_POSITION.search(message)
    if not match:
        return ConfigError("", f"not TOML: {message}", source=source)
    line = match["line"] or _line(text, len(text))
    said = message[0].lower() + message[1 : match.start()]
    expected = 'text in quotes, as in name = "value"' if said == "invalid value" else None
    return ConfigError("", f"not TOML: {said}", expected, f"{source}:{line}")


def _too_many_digits(source: str) -> ConfigError:
    """The interpreter reads no integer above sys.int_info.default_max_str_digits."""
    return ConfigError("", "a number with too many digits", "a smaller number", source)


def _parse_yaml(text: str, source: str) -> object:
    """Read YAML with a module that imports PyYAML, which is an extra."""
    try:
        from plugmw.documents.yaml_reader import parse_yaml
    except ModuleNotFoundError:
        expected = "it installed: pip install 'plugmw[yaml]'"
        raise ConfigError("", "PyYAML, which YAML needs, is missing", expected, source) from None
    return parse_yaml(text, source)
