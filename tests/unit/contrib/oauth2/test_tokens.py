"""Authorization codes, access tokens and refresh tokens in a store."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from plugmw.contrib.oauth2.tokens import CODE_TTL, Code, Grant, Tokens
from plugmw.stores import open_store

GRANT = Grant("client", "1", "shop", "email profile", "alice")


@pytest.fixture
def now():
    return SimpleNamespace(now=1000.0)


@pytest.fixture(params=["memory", "file"])
def store(request, now, tmp_path):
    url = "memory://" if request.param == "memory" else (tmp_path / "store").as_uri()
    opened = open_store(url, clock=lambda: now.now)
    yield opened
    opened.close()


@pytest.fixture
def tokens(store, now):
    return Tokens(lambda: store, lambda: now.now)


def test_a_grant_is_for_its_service_or_for_all():
    everywhere = Grant("client", "1", None, None, None)
    assert GRANT.is_for("shop", False)
    assert GRANT.is_for("shop", True)
    assert not GRANT.is_for("other", True)
    assert everywhere.is_for("other", True)
    assert not everywhere.is_for("other", False)


def test_a_code_is_found_until_it_ends(tokens, now):
    code = Code(GRANT, "entry", "challenge")
    text = tokens.new_code(code)
    assert (len(text), text.isalnum()) == (32, True)
    assert tokens.code(text) == code
    assert tokens.code(text[:-1]) is None
    now.now += CODE_TTL
    assert tokens.code(text) is None


def test_a_code_is_taken_once(tokens):
    text = tokens.new_code(Code(GRANT, "entry", None))
    assert [tokens.take_code(text, GRANT) for _ in range(2)] == [True, False]
    assert tokens.code(text) is None


def test_of_many_at_once_one_takes_a_code(tokens):
    text = tokens.new_code(Code(GRANT, "entry", None))
    start, taken = threading.Barrier(8), []

    def take():
        start.wait()
        taken.append(tokens.take_code(text, GRANT))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count(True) == 1


def test_an_access_token_lasts_for_its_time(tokens, now):
    text, refresh = tokens.issue(GRANT, 5, None)
    assert refresh is None
    assert tokens.access(text).grant == GRANT
    now.now += 5
    assert tokens.access(text) is not None
    now.now += 0.1
    assert tokens.access(text) is None
    now.now += 10
    assert tokens.access(text) is None


def test_an_access_token_may_last_for_ever(tokens, now):
    text, _ = tokens.issue(GRANT, 0, None)
    now.now += 1e9
    assert tokens.access(text) is not None


@pytest.mark.parametrize(("ttl", "lasts"), [(100, False), (0, True)], ids=["a time", "for ever"])
def test_a_refresh_token_lasts_for(tokens, now, ttl, lasts):
    _, text = tokens.issue(GRANT, 5, ttl)
    now.now += 99.9
    assert tokens.refresh(text).grant == GRANT
    now.now += 0.1
    assert (tokens.refresh(text) is not None) is lasts


def test_taking_a_refresh_token_ends_its_access_token(tokens):
    access, text = tokens.issue(GRANT, 5, 100)
    refresh = tokens.refresh(text)
    assert tokens.take_refresh(text, refresh)
    assert tokens.access(access) is None
    assert tokens.refresh(text) is None
    assert not tokens.take_refresh(text, refresh)


@pytest.mark.parametrize(("ttl", "lasts"), [(100, False), (0, True)], ids=["a time", "for ever"])
def test_a_refresh_token_that_stays_ends_no_later(tokens, now, ttl, lasts):
    access, text = tokens.issue(GRANT, 5, ttl)
    now.now += 50
    other = tokens.renew(text, tokens.refresh(text), 5)
    assert tokens.access(access) is None
    assert tokens.access(other).created == now.now
    now.now += 50
    assert (tokens.refresh(text) is not None) is lasts


def test_a_refresh_token_ends_by_the_clock_of_the_gateway(now):
    """A store may have a clock of its own, as Redis has."""
    store = open_store("memory://", clock=lambda: 0.0)
    tokens = Tokens(lambda: store, lambda: now.now)
    access, text = tokens.issue(GRANT, 5, 100)
    now.now += 100
    assert tokens.refresh(text) is None
    assert tokens.access(access) is None


def test_the_store_holds_no_text_of_a_token(now):
    kept = {}
    spied = SimpleNamespace(set=lambda key, value, ttl: kept.update({key: value}))
    tokens = Tokens(lambda: spied, lambda: now.now)
    texts = [tokens.new_code(Code(GRANT, "entry", None)), *tokens.issue(GRANT, 5, 100)]
    assert len(kept) == 3
    assert not [text for text in texts if text in repr(kept)]


@pytest.mark.parametrize("call", range(7))
def test_of_two_renewals_at_once_one_access_token_is_left_alive(store, now, call):
    """Another request comes in before each of the calls to the store that a renewal makes."""

    class Meanwhile:
        """A store before whose n-th call something else happens."""

        def __init__(self):
            self.left = call

        def __getattr__(self, name):
            if self.left == 0:
                others.append(Tokens(lambda: store, lambda: now.now).renew(text, refresh, 60))
            self.left -= 1
            return getattr(store, name)

    others = []
    plain = Tokens(lambda: store, lambda: now.now)
    first, text = plain.issue(GRANT, 60, 600)
    refresh = plain.refresh(text)
    meanwhile = Meanwhile()
    mine = Tokens(lambda: meanwhile, lambda: now.now).renew(text, refresh, 60)
    assert len(others) == 1
    alive = [token for token in (first, mine, *others) if plain.access(token)]
    assert len(alive) == 1
    last = plain.renew(text, plain.refresh(text), 60)
    assert [token for token in (first, mine, *others, last) if plain.access(token)] == [last]
