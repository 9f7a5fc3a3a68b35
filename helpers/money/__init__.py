"""Money and tokens: prices, estimates before a call, a ceiling that refuses, a running total."""
