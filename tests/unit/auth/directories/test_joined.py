"""Several directories as one."""

from plugmw.auth.directories import JoinedDirectory
from plugmw.kernel.identity import Consumer, Credential, MemoryDirectory


def directory(name):
    made = MemoryDirectory([Consumer(id=name)])
    made.add("key-auth", "key", Credential(id=f"of {name}", consumer_id=name))
    made.add("key-auth", name, Credential(id=f"only {name}", consumer_id=name))
    return made


def test_the_first_that_knows_answers():
    joined = JoinedDirectory(directory("a"), directory("b"))
    assert joined.consumer("b").id == "b"
    assert joined.consumer("c") is None
    assert joined.credential("key-auth", "key").id == "of a"
    assert joined.credential("key-auth", "b").id == "only b"
    assert joined.credential("jwt", "key") is None


def test_closes_those_that_have_something_to_close():
    closed = []
    table = directory("b")
    table.close = lambda: closed.append("b")
    JoinedDirectory(directory("a"), table).close()
    assert closed == ["b"]
