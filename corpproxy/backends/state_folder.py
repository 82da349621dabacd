"""What stands in the ``state:`` folder, by name."""

from __future__ import annotations

# The socket by which commands reach the running service.
CONTROL_SOCKET = "control.sock"

# The key that signs the forms of our pages.
FORMS_KEY = "forms.key"

# The policies that ran.
POLICIES_FOLDER = "policies"
