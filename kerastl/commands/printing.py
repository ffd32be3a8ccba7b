"""Text for the terminal."""


def printable(value) -> str:
    """Text from outside, without what could steer the terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(value))
