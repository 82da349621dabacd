"""The ``geography:`` table: databases that tell where addresses are."""

from __future__ import annotations

from corpproxy.config.schema.leaves import Text
from corpproxy.config.schema.table import Table, optional


class GeographyTable(Table):
    """Databases in MaxMind's format (``.mmdb``), for ``country`` and ``asn`` in rules."""

    country: Text | None = optional("The file that tells the countries of addresses.")
    asn: Text | None = optional("The file that tells the numbers of the networks that have addresses.")
