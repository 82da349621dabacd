"""May they: conditions, rules, hours, decide(), explain(), cases."""
