"""The supervisor and its workers: one process that keeps sockets and state, others that serve clients."""
