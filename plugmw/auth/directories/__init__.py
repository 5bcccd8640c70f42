"""Where consumers come from, other than the list in the configuration: SQL tables, Python callables."""

from plugmw.auth.directories.callables import CallableDirectory as CallableDirectory
from plugmw.auth.directories.factory import Consumers as Consumers
from plugmw.auth.directories.factory import directory as directory
from plugmw.auth.directories.joined import JoinedDirectory as JoinedDirectory
from plugmw.auth.directories.sql import SQLDirectory as SQLDirectory
from plugmw.auth.directories.urls import open_directory as open_directory
