"""What a configuration was made from is recorded, and a change of it is seen by content."""

from __future__ import annotations

from plugmw.loading.imports import load_file
from plugmw.loading.watching import changed, fingerprint, note, recording


def test_notes_are_for_whoever_records(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    note(path)  # nobody records
    with recording() as record:
        note(path)
        note(tmp_path / "b", b"given")
    assert list(record.files) == [str(path), str(tmp_path / "b")]
    assert changed(record.files) == [str(tmp_path / "b")]


def test_the_same_content_is_no_change(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    with recording() as record:
        note(path)
    path.unlink()
    assert changed(record.files) == [str(path)]
    path.write_text("1")
    assert changed(record.files) == []


def test_a_missing_file_that_appears_is_a_change(tmp_path):
    path = tmp_path / "late"
    with recording() as record:
        note(path)
    assert (record.files, changed(record.files)) == ({str(path): ""}, [])
    path.write_text("")
    assert changed(record.files) == [str(path)]


def test_a_folder_stands_for_the_names_in_it(tmp_path):
    (tmp_path / "a").write_text("1")
    before = fingerprint(str(tmp_path))
    (tmp_path / "a").write_text("2")
    assert fingerprint(str(tmp_path)) == before
    (tmp_path / "b").write_text("")
    assert fingerprint(str(tmp_path)) != before


def test_what_cannot_be_a_path_has_no_content():
    assert fingerprint("a\0b") == ""


def test_a_record_within_another_adds_to_it_and_knows_what_it_knows(tmp_path):
    path = tmp_path / "m.py"
    path.write_text("x = 1")
    with recording() as outer, recording() as inner:
        first = load_file(path)
    assert outer.files == inner.files == {str(path): fingerprint(str(path))}
    assert list(outer.modules.values()) == [first]
    with recording(outer.modules), recording():
        assert load_file(path) is first


def test_another_content_is_another_module_even_within_a_second(tmp_path):
    path = tmp_path / "m.py"
    path.write_text("x = 1")
    with recording() as record:
        first = load_file(path)
    path.write_text("x = 2")
    with recording(record.modules):
        second = load_file(path)
    assert (first.x, second.x) == (1, 2)
