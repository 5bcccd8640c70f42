"""Configuration classes: declared once, used to check, to describe (JSON Schema) and to document."""

from __future__ import annotations

from plugmw.schema.declaring import REQUIRED as REQUIRED
from plugmw.schema.declaring import Check as Check
from plugmw.schema.declaring import Kind as Kind
from plugmw.schema.declaring import Nothing as Nothing
from plugmw.schema.declaring import above as above
from plugmw.schema.declaring import at_least as at_least
from plugmw.schema.declaring import between as between
from plugmw.schema.declaring import config as config
from plugmw.schema.declaring import each as each
from plugmw.schema.declaring import field as field
from plugmw.schema.declaring import fields_of as fields_of
from plugmw.schema.declaring import is_config as is_config
from plugmw.schema.declaring import matches as matches
from plugmw.schema.declaring import not_empty as not_empty
from plugmw.schema.declaring import one_of as one_of
from plugmw.schema.describing import json_schema as json_schema
from plugmw.schema.messages import Finding as Finding
from plugmw.schema.reading import as_dict as as_dict
from plugmw.schema.reading import build as build
from plugmw.schema.reading import read as read
