"""The record of an exchange, its result codes, its formats, what is left out of it."""
