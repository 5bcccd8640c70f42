"""Whose document one is, and that it comes translated."""

from __future__ import annotations

import re

import pytest

from plugmw.configuration.translators import TRANSLATORS, read, translator
from plugmw.documents import Document
from plugmw.documents.translated import Options, Translated
from plugmw.errors import ConfigError

DOCUMENTS = {
    "kong": {"_format_version": "3.0", "services": []},
    "krakend": {"version": 3, "endpoints": []},
    "krakend, version as text": {"version": "3", "endpoints": []},
    "krakend of version 2": {"version": 2, "endpoints": []},
    "krakend by its schema": {"$schema": "https://www.krakend.io/schema/v3.json", "endpoints": []},
    "krakend in capitals": {"Version": 3, "ENDPOINTS": []},
    "tyk": {"name": "x", "proxy": {"listen_path": "/"}},
    "tyk in capitals": {"name": "x", "Proxy": {"Listen_Path": "/"}},
    "tyk in OpenAPI": {"openapi": "3.0.3", "x-tyk-api-gateway": {}},
    "prest": {"pg": {"host": "db"}},
    "prest without a database": {"jwt": {"default": False}, "HTTP": {"port": 3000}},
    "prest, one key": {"debug": True},
    "prest with plugins": {"pluginmiddlewarelist": []},
    "plugmw": {"plugins": []},
    "plugmw, empty": {},
}


def dialect(data):
    """Return whose document one is."""
    chosen = translator(data)
    return chosen.name if chosen else "plugmw"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_dialect_is_told_by_content(name):
    assert dialect(DOCUMENTS[name]) == re.match(r"\w+", name)[0]


@pytest.mark.parametrize(
    "document", [{"endpoints": [], "version": []}, {"proxy": "x"}, {"pg": {}, "plugins": []}]
)
def test_dialect_wants_the_right_kind_of_value(document):
    assert dialect(document) == "plugmw"


def test_a_gateway_document_stays_as_it_is():
    document = Document({"plugins": []})
    assert read(document, None, Options()) is document


def test_a_document_is_translated_by_its_content():
    assert isinstance(read({"_format_version": "3.0", "services": []}, None, Options()), Translated)


def test_a_named_dialect_is_taken_whatever_the_content():
    translated = read({"services": []}, "kong", Options())
    assert isinstance(translated, Translated)
    assert [error.path for error in translated.errors] == ["_format_version"]


def test_each_dialect_is_recognised_by_one_of_the_documents_above():
    assert {found.name for found in TRANSLATORS} == {re.match(r"\w+", name)[0] for name in DOCUMENTS} - {
        "plugmw"
    }


@pytest.mark.parametrize("content", ["", " \n", "# nothing\n"])
def test_a_prest_toml_may_be_empty(tmp_path, monkeypatch, content):
    (tmp_path / "prest.toml").write_text(content)
    monkeypatch.chdir(tmp_path)
    translated = read("prest.toml", None, Options())
    assert (translated.errors, translated.data["plugins"][0]["name"]) == ([], "functions")


def test_a_file_of_another_name_that_is_empty_is_prestds_only_if_somebody_says_so(tmp_path):
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(ConfigError, match="is empty, expected a mapping"):
        read(str(tmp_path / "empty.toml"), None, Options())
    assert isinstance(read(str(tmp_path / "empty.toml"), "prest", Options()), Translated)


def test_the_content_goes_before_the_name_of_a_file(tmp_path):
    (tmp_path / "prest.toml").write_text('_format_version = "3.0"\n')
    assert "services" in read(str(tmp_path / "prest.toml"), None, Options()).data
    (tmp_path / "prest.toml").write_text("plugins = []\n")
    assert not isinstance(read(str(tmp_path / "prest.toml"), None, Options()), Translated)


def test_what_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read(str(tmp_path / "none.yaml"), None, Options())
