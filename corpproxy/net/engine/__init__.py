"""
Transports of our own under ordinary protocols: sockets in one nested epoll.

Half of the system calls of a stock transport are ``epoll_ctl``: each write switches interest on, waits for
a turn of the loop, writes, and switches it off.  Here a socket is registered once, edge-triggered, and
written to without asking first: at once, or with all else that a turn has to send when that turn is over.
The reactor sees a single reader, the epoll descriptor itself.  Only public interfaces of the reactor are
used, and protocols cannot tell the difference.
"""
