"""Fields that the originals know, and what becomes of each here; the tables are the files ``known/*.csv``.

A row has a field's place in the smallest document in which it means something, a value that is not its
default, what else it needs, and the outcome: ``read``, ``warning`` or ``error``, with what is said,
be it of the field itself or of the switch that gives it a meaning. The names are those of the originals' own
schemas and sources; the outcome is found by reading the document.

    .venv/bin/python -m tests.unit.dialects.known_fields

writes the outcomes anew, after the list of names has grown or something that was told is read.
"""

from __future__ import annotations

import csv
import functools
import json
import logging
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from plugmw.configuration.extras import Extras
from plugmw.configuration.plan import read_plan
from plugmw.documents.document import Document, Origin, Place, parse_place, render_place
from plugmw.documents.translated import Options
from plugmw.errors import ConfigError, ConfigErrors
from tests.support.certificates import certificates

FOLDER: Final = Path(__file__).parent / "known"
COLUMNS: Final = ("field", "value", "with", "outcome", "said")
UNHEARD_OF: Final = "unheard_of"
#: What is said of the whole of a smallest document, in which nobody has credentials, and not of a field.
_GUARD_OF_NONE: Final = re.compile("no consumer has a credential|no entry that authenticates")

#: The smallest document of each dialect.
SMALLEST: Final[dict[str, dict[str, Any]]] = {
    "kong": {
        "_format_version": "3.0",
        "services": [{"name": "s", "url": "http://a/", "routes": [{"name": "r", "paths": ["/a"]}]}],
        "consumers": [{"username": "bob", "keyauth_credentials": [{"key": "bobs"}]}],
        "plugins": [{"name": "key-auth"}],
    },
    "kong-plugins": {
        "_format_version": "3.0",
        "services": [{"name": "s", "url": "http://a/", "routes": [{"name": "r", "paths": ["/a"]}]}],
        "consumers": [{"username": "bob"}],
    },
    "krakend": {
        "version": 3,
        "endpoints": [{"endpoint": "/a", "backend": [{"url_pattern": "/b", "host": ["http://a:8080"]}]}],
    },
    "tyk": {
        "name": "api",
        "api_id": "id1",
        "use_keyless": True,
        "proxy": {"listen_path": "/api/", "target_url": "http://127.0.0.1:9/"},
        "version_data": {"not_versioned": True},
    },
    "prest": {"pluginpath": "./lib"},
}


@attrs.frozen
class Row:
    """A field, and what becomes of it."""

    field: str
    value: str
    needs: str
    outcome: str
    said: str

    @property
    def place(self) -> Place:
        return parse_place(self.field)


def rows(dialect: str) -> list[Row]:
    """Return the table of a dialect."""
    with (FOLDER / f"{dialect}.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert tuple(header) == COLUMNS
    return [Row(*line) for line in lines]


def document(dialect: str, row: Row, **more: object) -> dict[str, Any]:
    """Return the document of a row; ``more`` are values at places beside its own."""
    made = Document(json.loads(json.dumps(SMALLEST[dialect])))
    values = {**json.loads(row.needs or "{}"), row.field: json.loads(row.value), **more}
    for place, value in values.items():
        made.put(parse_place(place), pair().get(str(value), value), Origin(None))
    return made.data


@functools.cache
def pair() -> dict[str, str]:
    """Return a certificate and its key, by what stands for them in a table."""
    with tempfile.TemporaryDirectory() as folder:
        files = certificates(Path(folder))
        return {"CERT": files.certificate.read_text(), "KEY": files.key.read_text()}


class Log(logging.Handler):
    """Keeps the texts of warnings."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            self.texts.append(record.getMessage())


def told(dialect: str, data: dict[str, Any]) -> Iterator[tuple[str, Place, str]]:
    """Yield what is told of a document: ``error`` or ``warning``, the place, and the text.

    What a plugin logs of its configuration has no place, but the name of a field in its text.
    """
    errors: list[ConfigError] = []
    warnings: list[ConfigError] = []
    logger, log = logging.getLogger("plugmw"), Log(logging.WARNING)
    logger.addHandler(log)
    try:
        # As the original, which starts without what a name stands for: the tables are of fields.
        options = Options(strict=False)
        warnings = read_plan(data, Extras(dialect=dialect.partition("-")[0], options=options)).warnings
    except ConfigErrors as problems:
        errors = list(problems.errors)
    finally:
        logger.removeHandler(log)
    yield from (("warning", (), text) for text in log.texts)
    for kind, listed in (("error", errors), ("warning", warnings)):
        for one in listed:
            text = one.problem + (f", expected {one.expected}" if one.expected else "")
            yield kind, parse_place(one.path), text


def outcome(dialect: str, row: Row) -> tuple[str, str]:
    """Return what becomes of a field, and what is said of it.

    Of a document that is refused as a whole every field is an error. Raises ``ValueError`` if something else
    is wrong in the document.
    """
    about: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    needed = [parse_place(place) for place in json.loads(row.needs or "{}")]
    other = ""
    for kind, where, text in told(dialect, document(dialect, row)):
        place = row.place
        if _GUARD_OF_NONE.match(text):
            continue
        if not where and kind == "warning":
            if re.search(rf"\b{re.escape(str(place[-1]))}\b", text):
                about[True].append((kind, text))
        elif where[: len(place)] == place[: len(where)]:
            about[True].append((kind, text))
        elif any(where[: len(one)] == one[: len(where)] for one in needed):
            about[False].append((kind, f"{render_place(where)}: {text}"))
        elif kind == "error":
            other = f"{row.field}: {render_place(where)} {text}"
    for found in (about[True], about[False]):
        for kind in ("error", "warning"):
            for one, text in found:
                if one == kind:
                    return kind, text
    if other:
        raise ValueError(other)
    return "read", ""


def write(dialect: str) -> None:
    """Write the outcomes of a table anew."""
    table = []
    for row in rows(dialect):
        kind, said = outcome(dialect, row)
        table.append(attrs.evolve(row, outcome=kind, said=said))
    with (FOLDER / f"{dialect}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(attrs.astuple(row) for row in table)


if __name__ == "__main__":
    for name in SMALLEST:
        write(name)
