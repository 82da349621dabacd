"""Templates, words and style: parts of the program that lie beside its modules."""

from __future__ import annotations

import pkgutil


def packaged(name: str) -> str:
    """
    Give the text of a file of this package, such as ``templates/page.html``.

    What is asked for is part of the program, as its modules are, and comes from wherever they were imported.
    LookupError when there is no such file: the installation is broken.
    """
    octets = pkgutil.get_data("corpproxy.pages", name)
    if octets is None:
        raise LookupError(f"{name} is missing in the installed package corpproxy.pages; install it again")
    return octets.decode("utf-8")
