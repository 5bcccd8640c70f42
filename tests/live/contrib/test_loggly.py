"""loggly: configuration, datagrams to a real socket, and through an app; at the end a real rsyslog."""

from __future__ import annotations

import json

from plugmw.testing import get
from tests.support.rsyslog import rsyslog
from tests.unit.contrib.test_loggly import serve as serve
from tests.unit.contrib.test_loggly import sink as sink


# -- through an app -----------------------------------------------------------------------------------
def test_a_real_daemon_reads_the_structured_data(serve, folder):
    with rsyslog(folder) as daemon:
        get(serve(port=daemon.port, tags=['x"] evil', "b"]), path="/request")
        [message] = daemon.wait(1)
    assert (message.pri, message.program) == (14, "kong")
    assert message.data == '[123456789@41058 tag="x\\"\\] evil" tag="b"]'
    assert json.loads(message.text)["request"]["uri"] == "/request"
