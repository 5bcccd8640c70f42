"""Configuration classes: declared once, used to check, to describe (JSON Schema) and to document."""

from __future__ import annotations

from plugmw.schema.reading import REQUIRED as REQUIRED
from plugmw.schema.reading import Check as Check
from plugmw.schema.reading import Kind as Kind
from plugmw.schema.reading import Nothing as Nothing
from plugmw.schema.reading import Path as Path
from plugmw.schema.reading import Problem as Problem
from plugmw.schema.reading import Reader as Reader
from plugmw.schema.reading import Text as Text
from plugmw.schema.reading import above as above
from plugmw.schema.reading import as_dict as as_dict
from plugmw.schema.reading import at_least as at_least
from plugmw.schema.reading import between as between
from plugmw.schema.reading import build as build
from plugmw.schema.reading import config as config
from plugmw.schema.reading import default_text as default_text
from plugmw.schema.reading import default_value as default_value
from plugmw.schema.reading import describe as describe
from plugmw.schema.reading import each as each
from plugmw.schema.reading import field as field
from plugmw.schema.reading import fields as fields
from plugmw.schema.reading import json_schema as json_schema
from plugmw.schema.reading import matches as matches
from plugmw.schema.reading import not_empty as not_empty
from plugmw.schema.reading import one_of as one_of
from plugmw.schema.reading import place as place
from plugmw.schema.reading import read as read
from plugmw.schema.reading import shown as shown
from plugmw.schema.reading import steps as steps
from plugmw.schema.reading import suggest as suggest
from plugmw.schema.reading import unknown as unknown
