"""Reports: numbers for programs, a page and a text for people."""
