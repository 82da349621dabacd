"""corpproxy: the filtering forward proxy of a school or an office, on Twisted."""

__version__ = "0.1.0"
