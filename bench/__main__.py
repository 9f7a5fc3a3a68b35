"""`make bench`: every measurement, one table. Close other programs first; it takes minutes."""

from bench import generation, serving, training

if __name__ == "__main__":
    print("Every ratio is one of medians, measured in turns in this one run.")
    training.run()
    generation.run()
    serving.run()
