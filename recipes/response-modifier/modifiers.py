"""Tyk's example of a response plugin in Python."""

import json


def my_plugin_response(rw, res, req):
    # add a header to our response object
    res.headers.add("X-Response-Added", "resp-added")

    # overwrite our response body
    res.body = json.dumps({"message": "Hi! I'm a response plugin"}).encode()
