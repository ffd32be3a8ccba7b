"""Arrays of images and labels, of which a dataset reads some rows at a time."""

import weakref
from collections.abc import Callable

import numpy as np

from kerastl.storage import release


class Rows:
    """The images of a dataset: some rows of two arrays, which other datasets may share."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, numbers: np.ndarray):
        """Args: images, labels: arrays; numbers: of their rows, those that belong to the dataset."""
        self.images, self.labels, self.numbers = images, labels, numbers
        self.units = np.arange(len(labels))  # (images of all parts,): those with one number belong together

    def read(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels at some places among the numbers."""
        numbers = self.numbers[index]
        images = self.images[numbers]
        release([self.images])
        return images, self.labels[numbers]

    def reader(self) -> Callable:
        """`read`, as long as the rows are there.

        TensorFlow keeps such a function for ever (fact 14), and with it all it refers to: so it refers to them weakly.
        """
        read = weakref.WeakMethod(self.read)

        def read_if_there(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if read() is None:
                raise ReferenceError(
                    "A dataset that was made inside a function is gone, and its images with it. Keep it in a variable "
                    "as long as you read what was made of it."
                )
            return read()(index)

        return read_if_there
