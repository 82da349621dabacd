"""The shape of the policy file: one schema for reader, defaults and manual."""
