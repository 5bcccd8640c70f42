"""Libraries for another machine: real pip, from a folder of wheels, no network."""

import subprocess

import pytest

from plugmw.bundles import Manifest, vendoring
from plugmw.bundles.vendoring import requirements, target, vendored
from plugmw.errors import LoadError
from tests.support.bundles import archive


def download(files):
    """Return a stand-in for pip that gives these wheels."""

    def run(wanted, tags, python, folder):
        for name, content in files.items():
            with open(f"{folder}/{name}", "wb") as file:
                file.write(archive(list(content.items())))

    return run


def test_two_wheels_may_share_a_file_only_if_it_is_the_same(monkeypatch):
    same = {"a.whl": {"ns/__init__.py": b""}, "b.whl": {"ns/__init__.py": b"", "ns/b.py": b"B"}}
    monkeypatch.setattr(vendoring, "_download", download(same))
    assert vendored([], [], None) == {"ns/__init__.py": b"", "ns/b.py": b"B"}
    monkeypatch.setattr(vendoring, "_download", download({**same, "c.whl": {"ns/b.py": b"C"}}))
    with pytest.raises(LoadError, match=r"c\.whl: 'ns/b\.py' is in another wheel too, and differs"):
        vendored([], [], None)


def test_a_missing_pip_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        LoadError, match="there is no pip in this Python to fetch wheels, expected python -m ensurepip"
    ):
        vendored([], [], None)


@pytest.mark.parametrize(
    ("stderr", "text"),
    [("", "ended with status 3"), ("it broke", "it broke"), ("WARNING: x\nERROR: a\nERROR: b", "a; b")],
)
def test_what_pip_says_is_said(monkeypatch, stderr, text):
    done = subprocess.CompletedProcess([], 3, "", stderr)
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **named: done)
    with pytest.raises(LoadError) as error:
        vendored(["x"], [], None)
    assert error.value.what == text


def test_a_pip_that_hangs_is_ended(monkeypatch):
    def run(command, **named):
        raise subprocess.TimeoutExpired(command, named["timeout"])

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(LoadError, match="pip download: not done within 600 s"):
        vendored(["x"], [], None)


@pytest.mark.parametrize(
    ("platform", "system", "processor", "tag"),
    [
        ("linux/arm64", "linux", "arm64", "manylinux2014_aarch64"),
        ("darwin/arm64", "darwin", "arm64", "macosx_11_0_arm64"),
        ("manylinux_2_28_x86_64", "linux", "amd64", "manylinux_2_28_x86_64"),
        ("manylinux2014_aarch64", "linux", "arm64", "manylinux2014_aarch64"),
        ("musllinux_1_2_x86_64", "linux", "amd64", "musllinux_1_2_x86_64"),
        ("win_amd64", "windows", "amd64", "win_amd64"),
        ("win32", "windows", "386", "win32"),
    ],
)
def test_platforms_are_gos_or_pips(platform, system, processor, tag):
    found = target(platform)
    assert found[:2] == (system, processor)
    assert tag in found[2]


def test_this_machine_is_the_default(monkeypatch):
    monkeypatch.setattr(vendoring, "goos", lambda: "linux")
    monkeypatch.setattr(vendoring, "goarch", lambda machine=None: "amd64")
    assert target(None)[:2] == ("linux", "amd64")


@pytest.mark.parametrize("platform", ["plan9/amd64", "amiga", "linux"])
def test_a_platform_nobody_knows_is_said(platform):
    with pytest.raises(LoadError, match=r"--platform: got .* expected one of linux/amd64, "):
        target(platform)


def test_requirements_stand_in_the_manifest_or_beside_it(tmp_path):
    (tmp_path / "requirements.txt").write_text("attrs\n")
    assert requirements(Manifest(), tmp_path, "m") == ["--requirement", str(tmp_path / "requirements.txt")]
    assert requirements(Manifest(other={"requirements": ["attrs>=23"]}), tmp_path, "m") == ["attrs>=23"]


@pytest.mark.parametrize("wrong", ["attrs", [1], ["--index-url=http://evil/"], [""]])
def test_requirements_that_are_none_are_refused(tmp_path, wrong):
    with pytest.raises(LoadError, match=r"^m: requirements: got .*, expected a list such as"):
        requirements(Manifest(other={"requirements": wrong}), tmp_path, "m")


def test_no_requirements_at_all_are_said(tmp_path):
    with pytest.raises(LoadError, match="m: there are no requirements to vendor"):
        requirements(Manifest(), tmp_path, "m")
