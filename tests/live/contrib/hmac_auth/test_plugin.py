"""hmac-auth: configuration, the header, dates, what is signed, replays, and through an app."""

from __future__ import annotations

from email.utils import formatdate
from time import time

from tests.support import raw
from tests.unit.contrib.hmac_auth.test_plugin import BOB, sign


def test_under_gunicorn_the_signed_target_is_the_one_on_the_wire(gunicorn):
    server = gunicorn(
        f"""
        from plugmw import Gateway
        from plugmw.testing import hello_app
        app = Gateway(hello_app, {{
            "consumers": [{BOB!r}],
            "plugins": [
                {{"name": "key-auth", "config": {{"hide_credentials": True}}}},
                {{"name": "hmac-auth", "config": {{"strict": True}}}},
            ],
        }})
        """
    )
    target = "/a%2Fb//c%41?q=%20&apikey=kong&x"
    for number, prefix in enumerate(("", "http://shop.example")):
        date = formatdate(time() + number, usegmt=True)
        header = sign(f"host: test.example\ndate: {date}\nGET {target} HTTP/1.1", "host date request-line")
        sent = [
            raw.get(server.port, prefix + target, f"Date: {date}", f"Authorization: {header}") for _ in "12"
        ]
        assert [answer.status for answer in sent] == [200, 401], server.log()
    assert raw.get(server.port, "/b?apikey=kong", f"Date: {date}", f"Authorization: {header}").status == 401
