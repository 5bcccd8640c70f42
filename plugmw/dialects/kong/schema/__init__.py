"""Kong's schema language: tables that say what a plugin's configuration is."""

from plugmw.dialects.kong.schema.tables import as_plain as as_plain
from plugmw.dialects.kong.schema.tables import as_table as as_table
from plugmw.dialects.kong.schema.tables import config_class as config_class
from plugmw.dialects.kong.schema.violations import schema_violation as schema_violation
from plugmw.dialects.kong.schema.violations import violation as violation
