"""How many examples property tests try: few by default, many with HYPOTHESIS_PROFILE=thorough."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The machine may be busy: no deadline for one example.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}

_PROFILES = {"short": 80, "thorough": 5000}

for _name, _count in _PROFILES.items():
    settings.register_profile(_name, max_examples=_count, **_COMMON)

EXAMPLES = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
