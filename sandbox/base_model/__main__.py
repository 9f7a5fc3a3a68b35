"""Make superhero-mini again: `python -m sandbox.base_model [--tokens N] [--out FOLDER]`.

Writes the catalogue of powers that the course's judge reads (`data/powers.json`), then pretrains
the model. `--catalogue-only` stops after the first step, for a change of wording alone.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from sandbox.base_model.grammar import HERE, load, powers

CATALOGUE = HERE.parent.parent / "data" / "powers.json"
SHARED_PARTS = ("openings", "looks", "origins", "show", "deed", "limit", "motives")


def catalogue() -> dict[str, object]:
    """What a judge must know: each power's names and sentences, and those that all may use."""
    shared = [s for part in SHARED_PARTS for group in load("shared")[part].values() for s in group]
    return {
        "powers": {
            power.name: {
                "phrase": power.phrase,
                "in_data_set": power.in_data_set,
                "sentences": list(power.sentences),
            }
            for power in powers()
        },
        "shared": shared,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.base_model", description=__doc__)
    parser.add_argument("--tokens", type=int, help="pretraining tokens (default: the recipe's)")
    parser.add_argument("--out", type=Path, default=HERE / "weights", help="folder to write")
    parser.add_argument("--catalogue-only", action="store_true", help="write data/powers.json only")
    options = parser.parse_args()
    text = json.dumps(catalogue(), indent=1) + "\n"
    CATALOGUE.write_text(text, encoding="utf-8", newline="\n")
    print(f"wrote {CATALOGUE.name}: {len(powers())} powers")
    if options.catalogue_only:
        return
    from sandbox.base_model.pretrain import Recipe, pretrain  # torch, seconds to import

    recipe = Recipe() if options.tokens is None else replace(Recipe(), tokens=options.tokens)
    pretrain(recipe, options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
