"""The policy file: YAML with places, problems, schema, the loaded Configuration."""
