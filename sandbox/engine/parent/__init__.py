"""The worker processes as the server sees them: started, watched, spoken to. No torch here."""
