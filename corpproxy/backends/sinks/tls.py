"""TLS to a sink: the other side's certificate is always checked, ours is shown where it asks for one."""

from __future__ import annotations

import ssl

from corpproxy.audit.sinks import SinkSettings


def tls_context(settings: SinkSettings) -> ssl.SSLContext:
    """
    Make the context for a connection.

    :raises OSError: when a file cannot be read or is none of its kind (``ssl.SSLError`` is an OSError).
    """
    context = ssl.create_default_context(cafile=settings.authorities or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate:
        context.load_cert_chain(settings.certificate, settings.key or None)
    return context
