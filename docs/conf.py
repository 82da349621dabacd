"""How Sphinx makes the manual: nothing from the network, warnings are errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from corpproxy import __version__

project = "corpproxy"
author = "the authors of corpproxy"
copyright = "the authors of corpproxy"
version = release = __version__

exclude_patterns = ["_build"]
highlight_language = "none"
nitpicky = True

html_theme = "furo"
html_title = f"corpproxy {version}"
html_copy_source = False
html_show_sphinx = False
