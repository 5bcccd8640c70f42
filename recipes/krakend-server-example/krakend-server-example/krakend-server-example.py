"""The hello world of KrakenD's document "HTTP server plugins", line by line in Python."""

import html

# plugin_name is the plugin name
plugin_name = "krakend-server-example"


class Registerer(str):
    def register_handlers(self, f):
        f(str(self), self._register_handlers)

    def _register_handlers(self, _, extra, h):
        # If the plugin requires some configuration, it should be under the name of the plugin. E.g.:
        #
        #    extra_config:
        #      krakend-server-example:
        #        path: /some-path
        #
        # The config variable contains all the keys you have defined in the configuration
        # if the key doesn't exist or is not a map the plugin returns an error and the default handler
        config = extra.get(plugin_name)
        if not isinstance(config, dict):
            return h, ValueError("configuration not found")

        # The plugin will look for this path:
        path = config.get("path", "")
        logger.debug(f"The plugin is now hijacking the path {path}")

        # return the actual handler wrapping or your custom logic so it can be used as a replacement for
        # the default http handler
        def handler(w, req):
            # If the requested path is not what we defined, continue.
            if req.url_path != path:
                h.serve_http(w, req)
                return

            # The path has to be hijacked:
            w.write(f'Hello, "{html.escape(req.url_path)}"')
            logger.debug("request:", html.escape(req.url_path))

        return handler, None

    def register_logger(self, v):
        global logger
        logger = v
        logger.debug(f"[PLUGIN: {self}] Logger loaded")


# HandlerRegisterer is the symbol the plugin loader will try to load. It must implement the Registerer
# interface
HandlerRegisterer = Registerer(plugin_name)


# Empty logger implementation
class NoopLogger:
    def debug(self, *v): ...
    def info(self, *v): ...
    def warning(self, *v): ...
    def error(self, *v): ...
    def critical(self, *v): ...
    def fatal(self, *v): ...


# This logger is replaced by the register_logger method to load the one from plugmw
logger = NoopLogger()
