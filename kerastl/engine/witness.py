"""Look at the images of a dataset while somebody else reads them, so that they are known afterwards."""

import hashlib
from collections import Counter
from collections.abc import Iterator

import numpy as np

from kerastl.engine.digest import digest


class _Looked:
    """A dataset that is looked at while it is read for the first time; later passes are its own."""

    def __init__(self, dataset):
        self._dataset, self.passes, self._pass = dataset, 0, iter(())
        self.rows = getattr(dataset, "rows", None)  # where `load_images` made it

    def __iter__(self) -> Iterator:
        self.passes += 1
        self._pass = self._look() if self.passes == 1 else iter(self._dataset)
        return self._pass

    def cardinality(self):
        return self._dataset.cardinality()

    def _look(self) -> Iterator:
        raise NotImplementedError


class Witnessed(_Looked):
    """A dataset that counts how often it was begun, and knows what it gave in the first pass.

    One that shuffles gives another order each time, so a pass of our own would change what training sees. So we look at
    the images while somebody else reads them. Before another pass begins the one before is read to its end: shuffling
    may go on, and draw, far behind the first images.
    """

    def __init__(self, dataset):
        super().__init__(dataset)
        self._images, self._labels, self.batch_size = [], Counter(), 0

    def __iter__(self) -> Iterator:
        if self.rows is None or self.passes == 1:  # those of `load_images` have drawn all when they begin
            self.end()
        return super().__iter__()

    def begin(self, passes: int) -> None:
        """Begin passes until there were so many: a dataset that shuffles gets to where it would be."""
        while self.passes < passes:
            next(iter(self), None)

    def end(self) -> None:
        """Read what is left of the pass."""
        for _ in self._pass:
            pass

    def describe(self, part: str) -> dict[str, str]:
        """The images and labels, in any order, as texts by name. What is left of the first pass is read."""
        self.begin(1)
        if self.passes == 1:
            self.end()
        return {
            f"{part} images of each class": str(dict(sorted(self._labels.items()))),
            f"{part} images or their labels": digest(sorted(self._images)),
        }

    def _look(self) -> Iterator:
        for images, labels in self._dataset:
            numbers = np.asarray(labels).tolist()
            self.batch_size = max(self.batch_size, len(numbers))
            self._labels.update(numbers)
            for image, label in zip(np.asarray(images), numbers, strict=True):
                known = hashlib.blake2b(np.ascontiguousarray(image), digest_size=16)
                known.update(b"%d" % label)
                self._images.append(known.digest())
            yield images, labels


class Glance(_Looked):
    """A dataset that remembers a little of its first pass, to find out whether another one gives others.

    Of each image a few pixels and the label, and how often they came.

    Those of `load_images`, which hold their rows, never do. Of others the whole second pass is looked at: a beginning
    would not tell of copies that are augmented beside the originals, or of one class alone.
    """

    def __init__(self, dataset):
        super().__init__(dataset)
        self._seen, self._fixed = Counter(), self.rows is not None
        self.first = None  # a batch of images

    def finds_others(self) -> bool:
        """Read the dataset again, as long as what comes is what came: whether something else does."""
        if self._fixed:
            return False
        left = self._seen.copy()
        for images, labels in self._dataset:
            came = _little_of(images, labels)
            left.subtract(came)
            if any(left[one] < 0 for one in came):
                return True
        return left.total() > 0

    def _look(self) -> Iterator:
        for images, labels in self._dataset:
            self.first = images if self.first is None else self.first
            if not self._fixed:
                self._seen.update(_little_of(images, labels))
            yield images, labels


def _little_of(images, labels) -> list[int]:
    """Of each image of a batch a few pixels (of a text all token ids) and the label, as one number."""
    images = np.asarray(images)
    few = images[:, 3::7, 3::7] if images.ndim == 4 else images
    return [hash((one.tobytes(), label)) for one, label in zip(few, np.asarray(labels).tolist(), strict=True)]
