"""What the server and its workers both need to know of texts. No torch here."""
