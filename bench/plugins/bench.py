"""The bench's plugin: phases that make 0, 1 and 2 PDK calls."""

Schema = ()
version = "1.0.0"
priority = 1


class Plugin:
    def __init__(self, config):
        pass

    def rewrite(self, kong):
        pass

    def access(self, kong):
        value, _ = kong.request.get_header("x-echo")
        if value is not None and value != "bench.example":
            kong.response.set_header("x-echo", value)

    def response(self, kong):
        value, _ = kong.request.get_header("host")
        kong.response.set_header("x-host", value)


if __name__ == "__main__":
    from kong_pdk.cli import start_dedicated_server

    start_dedicated_server("bench", Plugin, version, priority, Schema)
