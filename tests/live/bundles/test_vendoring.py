"""Libraries for another machine: real pip, from a folder of wheels, no network."""

import pytest

from plugmw.bundles.vendoring import target, vendored
from plugmw.errors import LoadError
from tests.support.bundles import archive


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Make wheels that pip finds, and nothing else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def wheel(name, tag, files):
        info = f"{name}-1.0.dist-info"
        meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        mark = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
        about = {f"{info}/METADATA": meta.encode(), f"{info}/WHEEL": mark.encode(), f"{info}/RECORD": b""}
        (folder / f"{name}-1.0-{tag}.whl").write_bytes(archive([*files.items(), *about.items()]))

    return wheel


def library(files):
    return {name: content for name, content in files.items() if ".dist-info" not in name}


def test_wheels_of_the_other_platform_are_taken_and_placed_as_when_installed(wheels):
    wheels("pure", "py3-none-any", {"pure/__init__.py": b"P", "pure-1.0.data/purelib/extra.py": b"E"})
    files = {"native.so": b"arm", "native-1.0.data/scripts/run": b"#!", "native-1.0.data/platlib/n.py": b"N"}
    wheels("native", "cp312-cp312-manylinux2014_aarch64", files)
    wheels("native", "cp312-cp312-manylinux2014_x86_64", {"native.so": b"amd"})
    found = vendored(["pure", "native"], target("linux/arm64")[2], "3.12")
    assert library(found) == {"pure/__init__.py": b"P", "extra.py": b"E", "native.so": b"arm", "n.py": b"N"}
    assert "pure-1.0.dist-info/METADATA" in found


def test_without_a_wheel_for_it_nothing_is_built(wheels):
    wheels("native", "cp312-cp312-manylinux2014_x86_64", {})
    with pytest.raises(LoadError, match=r"^pip download: .*native.*, expected a wheel for every one$"):
        vendored(["native"], target("linux/arm64")[2], "3.12")


def test_without_a_python_it_is_for_this_one(wheels):
    wheels("pure", "py3-none-any", {"pure.py": b"P"})
    assert library(vendored(["pure"], target("windows/amd64")[2], None)) == {"pure.py": b"P"}
