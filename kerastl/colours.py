"""The colours of one picture: whatever a file stores becomes grey or three colours, 8 bits each, on white."""

import numpy as np

NO_WHITE = "its numbers have no known highest value, so white is not known"


class RefusedError(ValueError):
    """A picture that could be decoded, but takes too much memory, or whose colours cannot be known."""

    def __init__(
        self, reason: str, expected: str = "8 bits a colour: convert such pictures with the program that made them"
    ):
        super().__init__(f"{reason}. Expected {expected}.")
        self.reason, self.expected = reason, expected


def in_colour(image, layout: str):
    """The image in grey ("L") or in colours ("RGB"), 8 bits each, on white."""
    from PIL import Image

    if image.mode == "F":
        raise RefusedError(NO_WHITE)
    if image.mode.startswith("I"):
        return _grey_of_16_bits(image, layout)
    if "16" in layout:  # Pillow has kept the upper half of each number
        colours = [band for band in image.getbands() if band != "A"]
        _check_range(256 * max(image.getchannel(colour).getextrema()[1] for colour in colours) + 255)
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")


def _grey_of_16_bits(image, layout: str):
    from PIL import Image

    if image.mode == "I" and layout != "I;16B" and image.format != "PPM":
        raise RefusedError(NO_WHITE)
    numbers = np.asarray(image)
    _check_range(numbers.max())
    grey = (numbers // 256).astype(np.uint8)
    if getattr(image, "tag_v2", {}).get(262) == 0:  # a TIFF in which 0 is white; Pillow turns only 8 bits
        grey = 255 - grey
    if "transparency" in image.info:
        grey[numbers == image.info["transparency"]] = 255
    return Image.fromarray(grey)


def _check_range(highest: int) -> None:
    if highest < 65535 / 4:
        raise RefusedError(f"its numbers go only to {highest:,} of 65,535: the picture would look black")
