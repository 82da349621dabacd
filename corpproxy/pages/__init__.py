"""What people see: block page, warning, portal, failure pages, PAC file."""
