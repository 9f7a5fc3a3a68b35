"""What is drawn: charts with their text twins, widgets, the hero card, the road map."""
