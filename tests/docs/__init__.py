"""Tests about the manual: what it shows is true, what it says is in our words, and every page is found."""
