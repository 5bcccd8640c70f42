"""The page "Why was my request refused?": every request of it is made, and prints the lines of the page."""

from __future__ import annotations

import logging
import re
import shlex
import threading
from pathlib import Path

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.testing import hello_app
from tests.support.servers import ROOT
from tests.support.services import Service

PAGE = (ROOT / "docs/why-refused.rst").read_text(encoding="utf-8")
SECTION = re.compile(
    r"^(.+)\n~{3,}\n\n\.\. code-block:: (yaml|json)\n\n((?:   .*\n|\n)+)"
    r"\.\. code-block:: text\n\n((?:   .*\n|\n)+)",
    re.MULTILINE,
)
SECTIONS = {title: (kind, config, session) for title, kind, config, session in SECTION.findall(PAGE)}
ID = re.compile(r"\b[0-9a-f]{32}\b")


def dedented(block: str) -> str:
    return "".join(f"{line[3:]}\n" for line in block.rstrip().splitlines())


def asked(command: str):
    """Return the arguments of werkzeug's client for a command of curl."""
    words = shlex.split(command)[1:]
    headers, method, data = {}, None, None
    while len(words) > 1:
        option, value, *words = words
        if option == "-H":
            name, _, text = value.partition(": ")
            headers[name] = text
        elif option == "-X":
            method = value
        else:
            assert option == "-d"
            data = value.encode()
    path = words[0].removeprefix("localhost:8000")
    return {"path": path, "method": method or ("POST" if data else "GET"), "headers": headers, "data": data}


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(f"[{record.levelname}] {record.getMessage()}")


def printed(tmp_path: Path, kind: str, config: str, session: str) -> list[str]:
    """Return what the requests of a section print, with the requests."""
    release = threading.Event()

    def silent(connection):
        connection.request()
        release.wait(10)

    with Service(silent) as slow:
        place = tmp_path / ("gateway.yaml" if kind == "yaml" else "gateway.json")
        place.write_text(dedented(config).replace(":9001", f":{slow.port}"))
        handler = Lines()
        logger = logging.getLogger("tests.why")
        logger.propagate = False
        logger.setLevel(22)
        wrapped = Gateway(hello_app if kind == "yaml" else None, str(place), logger=logger, reload=False)
        # What is strange in the configuration is not about a request.
        wrapped.start(multiprocess=False)
        logger.addHandler(handler)
        out = []
        try:
            for command in re.findall(r"^\$ (.*)$", dedented(session), re.MULTILINE):
                asking = asked(command)
                Client(wrapped).open(
                    asking.pop("path"),
                    base_url="http://localhost:8000",
                    environ_base={"REMOTE_ADDR": "127.0.0.1"},
                    **asking,
                )
                lines = [line.replace(f":{slow.port}", ":9001") for line in handler.lines]
                out += [f"$ {command}", *(line.replace(f"{tmp_path}/", "") for line in lines)]
                handler.lines.clear()
        finally:
            release.set()
            logger.removeHandler(handler)
            wrapped.stop()
    return out


def test_every_section_with_a_status_or_a_document_has_an_example():
    titles = re.findall(r"^(.+)\n~{3,}$", PAGE, re.MULTILINE)
    assert set(titles) - set(SECTIONS) == {"500 by a plugin that could not start"}
    assert len(SECTIONS) == len(titles) - 1 == 16


@pytest.mark.parametrize("title", SECTIONS)
def test_each_request_of_the_page_prints_the_lines_of_the_page(tmp_path, title):
    kind, config, session = SECTIONS[title]
    wanted = dedented(session).splitlines()
    out = printed(tmp_path, kind, config, session)
    assert [ID.sub("ID", line) for line in out] == [ID.sub("ID", line) for line in wanted]
