"""tyk.conf."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugmw.dialects.tyk.settings import TykConf, conf_document, settings
from plugmw.errors import ConfigError
from plugmw.loading.watching import recording
from tests.unit.dialects.tyk.conftest import write

CONF = {"enable_bundle_downloader": True, "bundle_base_url": "http://mybundles:8000/abc", "other": {"a": 1}}


def read(given, folder, beside=True, environ=None):
    return settings(conf_document(given, folder, beside), folder, environ or {})


@pytest.mark.parametrize("place", ["tyk.conf", "../tyk.conf"])
def test_the_file_is_beside_the_definition_or_one_folder_up(tmp_path, place):
    folder = tmp_path / "apps"
    path = write((folder / place).resolve(), CONF)
    folder.mkdir(exist_ok=True)
    with recording() as record:
        conf, errors = read(None, folder)
    assert (conf.enable_bundle_downloader, conf.bundle_base_url) == (True, "http://mybundles:8000/abc")
    assert (conf.middleware_path, conf.enable_coprocess, errors) == ("middleware", None, [])
    assert conf.folder.resolve() == path.parent
    assert str(path) in record.files


def test_a_definition_in_code_has_no_file_that_it_does_not_name(tmp_path):
    write(tmp_path / "tyk.conf", CONF)
    assert read(None, tmp_path, beside=False) == (TykConf(folder=tmp_path), [])
    assert read("tyk.conf", tmp_path, beside=False)[0].enable_bundle_downloader


def test_without_a_file_there_are_defaults(tmp_path):
    assert read(None, tmp_path / "apps") == (TykConf(folder=tmp_path / "apps"), [])


def test_values_may_be_given_as_they_are():
    conf, errors = read(
        {"coprocess_options": {"enable_coprocess": False}, "public_key_path": "a.pem"}, Path()
    )
    assert (conf.enable_coprocess, conf.public_key_path, errors) == (False, "a.pem", [])


def test_keys_are_read_in_any_case():
    conf, errors = read(
        {"Coprocess_Options": {"Enable_Coprocess": False}, "PUBLIC_KEY_PATH": "a.pem"}, Path()
    )
    assert (conf.enable_coprocess, conf.public_key_path, errors) == (False, "a.pem", [])


def test_the_environment_wins():
    environ = {
        "TYK_GW_BUNDLEBASEURL": "http://other",
        "TYK_GW_ENABLEBUNDLEDOWNLOADER": "F",
        "TYK_GW_COPROCESSOPTIONS_ENABLECOPROCESS": "1",
        "TYK_GW_MIDDLEWAREPATH": "mw",
    }
    conf, errors = read(CONF, Path(), environ=environ)
    assert (conf.bundle_base_url, conf.enable_bundle_downloader) == ("http://other", False)
    assert (conf.enable_coprocess, conf.middleware_path, errors) == (True, "mw", [])


def test_what_is_wrong_is_told_with_its_place(tmp_path):
    path = write(tmp_path / "tyk.conf", {"enable_bundle_downloader": "yes", "middleware_path": 5})
    _, errors = read(None, tmp_path, environ={"TYK_GW_BUNDLEINSECURESKIPVERIFY": "maybe"})
    assert [str(error) for error in errors] == [
        f"{path}: enable_bundle_downloader: got 'yes', expected true or false",
        "$TYK_GW_BUNDLEINSECURESKIPVERIFY: got 'maybe', expected true or false",
        f"{path}: middleware_path: got 5, expected a text",
    ]


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        conf_document("none.conf", tmp_path, True)


def test_a_part_that_is_no_mapping_says_nothing():
    assert read({"coprocess_options": 5}, Path())[0].enable_coprocess is None
