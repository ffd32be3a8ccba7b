"""How a picture of any shape becomes one of the shape that the model wants."""

RESIZES = ("squash", "crop", "pad")
DEFAULT = "squash"  # what `load_images` does unless it is told
UNKNOWN = "squash"  # where nobody says how: data made by hand, models and files without a note


def check_resize(resize) -> None:
    """Raise ValueError unless `resize` is one of `RESIZES`."""
    if resize not in RESIZES:
        raise ValueError(f"Received resize={str(resize)[:80]!r}. Expected one of {', '.join(map(repr, RESIZES))}.")


def resize(image, size: tuple[int, int], how: str):
    """A Pillow image ("L" or "RGB") in another size, (height, width). A picture of that shape loses nothing in any way.

    "squash" gives up the proportions; "crop" keeps the largest middle part of the wanted shape, as Keras does with
    `crop_to_aspect_ratio`; "pad" keeps the whole picture and fills the rest with black, as Keras does with
    `pad_to_aspect_ratio`.
    """
    from PIL import Image

    height, width = size
    if how == "crop":
        scale = min(image.width / width, image.height / height)
        left, top = (image.width - scale * width) / 2, (image.height - scale * height) / 2
        return _scale(image, (width, height), (left, top, image.width - left, image.height - top))
    if how == "squash":
        return _scale(image, (width, height))
    scale = max(image.width / width, image.height / height)
    inside = [max(round(side / scale), 1) for side in image.size]
    padded = Image.new(image.mode, (width, height))
    padded.paste(_scale(image, inside), ((width - inside[0]) // 2, (height - inside[1]) // 2))
    return padded


def _scale(image, size, box=None):
    from PIL import Image

    return image.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=2.0)
