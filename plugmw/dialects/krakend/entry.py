"""What entries that use KrakenD-style modules have in common: where the modules are, and which names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeVar

from plugmw.dialects.krakend.handlers import names_of
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.registry import Kind
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.runtime import Runtime
from plugmw.schema import Finding, config, field
from plugmw.schema.messages import suggest

M = TypeVar("M", bound="ModuleConfig")


@config
class ModuleConfig:
    """Either ``module``, or ``folder`` with ``name``."""

    module: str | None = field(None, help="The plugin's module (`pkg.mod`) or file (`path/to/file.py`).")
    folder: str | None = field(None, help="A folder of plugin files, relative to the working directory.")
    pattern: str = field("", empty=True, help="Which files of the folder: a text in their names.")
    name: str | list[str] | None = field(
        None, help="Names of the plugins to use, in order; without it, all that the module registers."
    )
    extra_config: dict[str, object] = field({}, help="What the plugins are given, beside `name`.")
    strict: bool = field(True, help="Refuse to work without the plugins, instead of going on without them.")

    def check(self) -> Iterator[Finding]:
        if (self.module is None) == (self.folder is None):
            yield "exactly one of module and folder must be given"
        if self.folder is not None and self.name is None:
            yield "name", "missing, expected the names of the folder's plugins to use"


class ModulePlugin(Plugin[M]):
    """Loads the modules when the entry is built; what they make is made once per process.

    With ``strict``, a module that cannot be loaded or a name nobody registers is a ConfigError; a factory
    that fails in a worker makes the entry refuse every request.
    """

    kind: ClassVar[Kind]
    fail_closed = True
    loader: Loader

    def _init(self, config: M) -> None:
        super()._init(config)
        self.loader = Loader(self.logger)

    def bind(self, runtime: Runtime) -> None:
        super().bind(runtime)
        self.loader.register_logger(self.logger)

    def configure(self) -> None:
        self.fail_closed = self.config.strict
        if self.config.module is not None:
            self.loader.load(self.config.module, self.kind)
        elif self.config.folder is not None:
            self.loader.load_folder(self.config.folder, self.config.pattern)
        if self.config.strict:
            self._refuse_problems()

    def _refuse_problems(self) -> None:
        place = "folder" if self.config.module is None else "module"
        problems = [ConfigError(place, str(error)) for error in self.loader.errors]
        known = self.loader.register.names(self.kind)
        for name in names_of({"name": self.config.name}):
            if name not in known:
                problems.append(ConfigError("name", f'no plugin "{name}"{suggest(name, known)}'))
        if problems:
            raise ConfigErrors(problems)

    @property
    def extra_config(self) -> dict[str, object]:
        """Return the ``extra_config`` with this entry's namespace in it."""
        name = self.loader.register.names(self.kind) if self.config.name is None else self.config.name
        return {self.kind.namespaces[0]: {**self.config.extra_config, "name": name}}

    def close(self) -> None:
        self.loader.context.done.set()
