"""What Kong's plugins may rely on: phases, order, exits, failures, bodies, contexts, configuration."""

from __future__ import annotations

import pytest

from tests.support import raw


def test_on_a_real_server_the_client_gets_a_clean_500(gunicorn):
    server = gunicorn(
        """
        from plugmw import Gateway
        from plugmw.dialects.kong import adapt

        class Raises:
            PRIORITY, VERSION = 10, "1.0.0"

            def header_filter(self, config):
                raise ValueError("no")

        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"unfiltered"]

        app = Gateway(app, plugins=[adapt(Raises, "raises")()])
        """
    )
    answer = raw.get(server.port)
    assert (answer.status, answer.complete) == (500, True)
    assert b"unfiltered" not in answer.raw


@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
def test_on_a_real_server_the_answer_is_not_whole(gunicorn, worker_class):
    server = gunicorn(
        """
        from plugmw import Gateway
        from plugmw.dialects.kong import adapt

        class Raises:
            PRIORITY, VERSION = 10, "1.0.0"
            seen = 0

            def body_filter(self, config):
                self.seen += 1
                if self.seen > 1:
                    raise ValueError("no")

        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return iter([b"one", b"two", b"three"])

        app = Gateway(app, plugins=[adapt(Raises, "raises")()])
        """,
        worker_class=worker_class,
    )
    answer = raw.get(server.port)
    assert answer.status == 200
    assert not answer.complete


@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
def test_on_a_real_server_an_aborted_client_is_logged_once(gunicorn, worker_class):
    server = gunicorn(
        """
        import os
        from plugmw import Gateway
        from plugmw.dialects.kong import adapt

        class Logs:
            PRIORITY, VERSION = 10, "1.0.0"

            def log(self, config):
                os.write(2, b"[logged]")

        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return iter([b"x" * 1_000_000] * 50)

        app = Gateway(app, plugins=[adapt(Logs, "logs")()])
        """,
        worker_class=worker_class,
    )
    with raw.connect(server.port) as client:
        client.sendall(raw.request())
        client.recv(100)
    server.wait_for("[logged]")
    assert len(raw.get(server.port).body) == 50_000_000
    server.wait_for("[logged]", times=2)
    server.stop()
    assert server.log().count("[logged]") == 2
