"""What a stored study has come to, in words and tables: for the terminal and as a page."""
