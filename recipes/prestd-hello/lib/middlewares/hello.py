"""prestd's sample of a middleware plugin, in Python: a header on every answer."""


def HelloMiddlewareLoad():
    def hello(rw, rq, next):
        rw.header()["X-Hello"] = "middleware plugin"
        next(rw, rq)

    return hello
