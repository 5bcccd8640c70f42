"""Tyk's example of a response plugin, line by line in Python."""

import io


# MyPluginResponse intercepts response from upstream
def MyPluginResponse(rw, res, req):
    # add a header to our response object
    res.Header.Add("X-Response-Added", "resp-added")

    # overwrite our response body
    buf = io.BytesIO(b"""{"message":"Hi! I'm a response plugin"}""")
    res.Body = buf
