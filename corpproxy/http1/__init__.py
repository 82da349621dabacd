"""HTTP/1.1 without sockets: grammar, fields, targets, framing, hop-by-hop (RFC 9110, RFC 9112)."""
