"""A translated document: errors, origins and texts are those of the original."""

from __future__ import annotations

import pytest

from plugmw.documents import Document
from plugmw.documents.document import Origin
from plugmw.documents.translated import Translated


@pytest.fixture
def translated():
    original = Document({"services": [{"id": 7, "tls_verify": 1}]}, "kong.yml", {"/kong.yml": "hash"})
    original.put(("services", 0, "id"), 7, Origin("kong.yml", (("NAME", "7"),), text="007"))
    places = {("made", 3): ("services", 0), ("made", 3, "verify"): ("services", 0, "tls_verify")}
    return Translated(original, {"made": []}, places)


@pytest.mark.parametrize(
    ("place", "foreign"),
    [
        (("made", 3, "id"), ("services", 0, "id")),
        ("made[3].config.x", ("services", 0, "config", "x")),
        (("made", 3, "verify"), ("services", 0, "tls_verify")),
        ("unrouted", ("unrouted",)),
        ((), ()),
    ],
)
def test_a_place_is_that_of_the_original(translated, place, foreign):
    assert translated.foreign(place) == foreign


def test_an_error_names_the_place_and_the_source_of_the_original(translated):
    error = translated.error(("made", 3, "verify"), "got 1", "a boolean")
    assert str(error) == "kong.yml: services[0].tls_verify: got 1, expected a boolean"


def test_origins_texts_and_secrets_are_those_of_the_original(translated):
    assert translated.text("made[3].id") == "007"
    assert translated.origin("made[3].id").variables == ("NAME",)
    assert translated.is_secret("made[3].id")
    assert (
        str(translated.error("made[3].id", "got 7")) == "kong.yml: services[0].id: got a value from ${NAME}"
    )


def test_it_has_the_source_and_files_of_the_original(translated):
    assert (translated.source, translated.files) == ("kong.yml", ("/kong.yml",))
    assert (translated.errors, translated.warnings) == ([], [])
