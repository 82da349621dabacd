"""Reports: what the roll-ups say of a day, a week or a month, as a page, as tables and as text."""
