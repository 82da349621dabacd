"""Tests of the transports in one epoll."""
