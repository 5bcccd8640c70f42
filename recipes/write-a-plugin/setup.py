"""Share the plugin: who installs this can name `greeting` in a gateway file."""

from setuptools import setup

setup(
    name="plugmw-greeting",
    version="1.0",
    py_modules=["greeting"],
    install_requires=["plugmw"],
    entry_points={"plugmw.plugins": ["greeting = greeting:Greeting"]},
)
