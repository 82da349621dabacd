"""What several tests share: tables of rows, builders, wires."""
