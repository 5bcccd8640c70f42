"""Headers and helpers for native functions in C, Go and Rust; the folder is printed by

python -m plugmw.dialects.prest.include
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

#: Where ``plugmw_function.h`` and its companions are: for ``cc -I``, ``CGO_CFLAGS``, ``PLUGMW_INCLUDE``.
FOLDER: Final = Path(__file__).resolve().parent
