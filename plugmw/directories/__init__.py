"""Where consumers come from, other than the list in the configuration: SQL tables, Python callables."""

from plugmw.directories.callables import CallableDirectory as CallableDirectory
from plugmw.directories.given import Consumers as Consumers
from plugmw.directories.given import directory as directory
from plugmw.directories.joined import JoinedDirectory as JoinedDirectory
from plugmw.directories.sql import SQLDirectory as SQLDirectory
from plugmw.directories.urls import open_directory as open_directory
