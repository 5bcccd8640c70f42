"""Names that say what a build is for."""

from pathlib import Path

import pytest

from plugmw.bundles import naming


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(naming, "goos", lambda: "linux")
    monkeypatch.setattr(naming, "goarch", lambda: "arm64")


def test_the_build_for_this_machine_is_looked_for_first_and_the_exact_name_last():
    assert naming.candidates("lib/plugin.so", "5.3.0") == [
        Path("lib/plugin_v5.3.0_linux_arm64.so"),
        Path("lib/plugin_5.3.0_linux_arm64.so"),
        Path("lib/plugin.so"),
    ]


def test_a_stem_that_looks_like_a_version_is_left_alone():
    assert [path.name for path in naming.candidates(Path("a_v1.py"), "v2")] == [
        "a_v1_v2_linux_arm64.py",
        "a_v1_2_linux_arm64.py",
        "a_v1.py",
    ]


def test_the_name_of_a_build_is_that_of_tyks_compiler():
    assert naming.build_name("plugin", "v5.3.0", "linux", "arm64", ".so") == "plugin_v5.3.0_linux_arm64.so"


@pytest.mark.parametrize(
    ("platform", "name"), [("linux", "linux"), ("darwin", "darwin"), ("win32", "windows")]
)
def test_systems_have_gos_names(monkeypatch, platform, name):
    monkeypatch.undo()
    monkeypatch.setattr("sys.platform", platform)
    assert naming.goos() == name


@pytest.mark.parametrize(("machine", "name"), [("x86_64", "amd64"), ("AMD64", "amd64"), ("aarch64", "arm64")])
def test_processors_have_gos_names(monkeypatch, machine, name):
    monkeypatch.undo()
    assert naming.goarch(machine) == name
    assert naming.goarch() == naming.goarch(naming.platform.machine())
