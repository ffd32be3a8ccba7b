"""What the pictures share: one colour for one idea, and text in any script.

Most colours are those of Okabe & Ito (2008), which colour-blind eyes tell apart, on a light and on a dark background;
lines differ in their dashes, points in their shapes, areas in their hatching, too.
"""

import functools

BLUE, ORANGE, RED, SKY, GREY = "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#888888"
GREEN, PINK, YELLOW = "#009E73", "#CC79A7", "#F0E442"
BROWN, VIOLET, TEAL, OLIVE, WINE = "#8C564B", "#7E5FC8", "#44AA99", "#999933", "#AA4466"

COLOURS = (BLUE, ORANGE, GREEN, RED, PINK, SKY, YELLOW)  # of the classes of the data, which are no ideas
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")

# Every picture takes the colour of an idea from here. A trainable part is hatched as well.
FROZEN, TRAINABLE, HELD_STILL = BLUE, ORANGE, SKY
FROM_SCRATCH, HEAD_ONLY, FINE_TUNED = BROWN, PINK, GREEN
TRAINING, HELD_OUT = GREY, VIOLET  # measured on the images that it learns from, dashed; and on others
WRONG = RED

STRATEGIES = {"from scratch": (FROM_SCRATCH, ":"), "head only": (HEAD_ONLY, "--"), "fine-tuned": (FINE_TUNED, "-")}
OTHERS = tuple(zip((WINE, OLIVE, TEAL) * 4, ("-.", "-", "--", ":") * 3, strict=True))  # of strategies with other names


def words(*texts: str) -> dict:
    """Arguments for Matplotlib's texts that come from outside, such as class names.

    A "$" in them begins no formula, and letters that the usual font lacks are taken from an installed one that has
    them.
    """
    import matplotlib as mpl

    usual = mpl.rcParams["font.family"]
    letters = {letter for text in texts for letter in str(text) if not letter.isspace()}
    missing = frozenset(letter for letter in letters if ord(letter) > 0x24F)  # beyond Latin
    return {"parse_math": False, "fontfamily": [*usual, *_fonts_with(missing)] if missing else usual}


@functools.cache
def _fonts_with(letters: frozenset) -> list[str]:
    """The fewest installed fonts that have these letters, as far as that can be had."""
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    chosen, left = [], {ord(letter) for letter in letters}
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.style, abs(entry.weight - 400), entry.name)):
        if not left:
            break
        if entry.name.startswith("Last Resort"):  # Matplotlib's own: it has a box for each letter
            continue
        try:
            has = left & set(get_font(entry.fname).get_charmap())
            if has:  # but which file of the family will be drawn?
                drawn = fontManager.findfont(FontProperties(family=[entry.name]), fallback_to_default=False)
                has &= set(get_font(drawn).get_charmap())
        except (OSError, RuntimeError, ValueError):
            continue  # a broken font file of the system
        if has:
            chosen.append(entry.name)
            left -= has
    return chosen
