"""What the frozen part gives, kept or computed anew in each epoch, as batches for the part that learns."""

import itertools
from collections.abc import Iterator

import keras
import numpy as np

from kerastl.checks import check_labels, count_batches
from kerastl.devices import check_shares, count_replicas
from kerastl.engine.frozen import Frozen
from kerastl.engine.witness import Glance
from kerastl.graph import single, size_in_bytes
from kerastl.progress import Progress
from kerastl.storage import Room, find_room, release, size_text

FRESH = "fresh"
MOST_EXTRA = 4000  # views of images, in all: beyond that they take long
MOST_VIEWS = 3  # of an image


class Kept:
    """The frozen part's output for every image of a dataset, and epochs of batches drawn from it."""

    kept = True

    def __init__(self, tensors: list[np.ndarray], labels: np.ndarray, batch_size: int, shuffle: bool = False):
        """What is kept.

        Args:
            tensors: for each tensor of the frontier an array (1 + views, images, ...), the plain row first.
            labels: (images,), integers.
            batch_size: images in a batch of the dataset.
            shuffle: whether each epoch has an order of its own.
        """
        self.tensors, self.labels, self.batch_size, self.shuffle = tensors, labels, batch_size, shuffle
        self.images = len(labels)
        self.steps = -(-self.images // batch_size)

    def epoch(self) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """One epoch of batches, for each image at random one of its views or the image as it is.

        Chance comes from NumPy's own generator, which `keras.utils.set_random_seed` seeds. It is asked now, not when
        the batches are read, which may be in another thread.
        """
        rows = len(self.tensors[0])
        order = np.random.permutation(self.images) if self.shuffle else np.arange(self.images)
        batches = [order[start : start + self.batch_size] for start in range(0, self.images, self.batch_size)]
        chosen = [np.random.randint(rows, size=len(index)) if rows > 1 else 0 for index in batches]
        return (self._batch(row, index) for row, index in zip(chosen, batches, strict=True))

    def _batch(self, row, index: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        batch = [np.asarray(tensor[row, index]) for tensor in self.tensors]
        release(self.tensors)
        return batch, self.labels[index]


class Streamed:
    """A dataset for which the frozen part runs in each epoch, in the order that the dataset gives."""

    kept = False

    def __init__(self, frozen: Frozen, dataset, views: int | str | None):
        """Args: views, as for `make_batches`: whether each epoch augments each image, where the model can."""
        self._frozen, self._dataset = frozen, dataset
        self.steps = count_batches(dataset)
        self.images = _most_images(dataset, self.steps, _usual_size(itertools.islice(dataset, 2)))
        self._augment = frozen.augments and choose_views(self.images, views) != 0

    def epoch(self) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        for number, (images, labels) in enumerate(self._dataset):
            if number == self.steps:
                raise _other_number(self.steps, "more")
            check_labels(labels, self._frozen.classes)
            yield self._frozen.run(images, self._augment), np.asarray(labels)


class Batches(keras.utils.PyDataset):
    """`Kept` or `Streamed` as `fit` reads it: each epoch has to be begun, and is then read once, in order."""

    def __init__(self, source: Kept | Streamed, upper: keras.Model, class_weight: dict[int, float] | None = None):
        """Args: source, where they come from; upper, the part that learns; class_weight, as of `whole_class_weight`."""
        super().__init__()
        self.kept, self.steps, self.images = source.kept, source.steps, source.images
        self.error: Exception | None = None  # why reading failed: TensorFlow would make an error of its own of it
        self._source, self._inputs, self._devices = source, upper.inputs, count_replicas(upper)
        self._weights = None if class_weight is None else np.array([*class_weight.values()], keras.config.floatx())
        if source.kept:  # else the batches are looked at as they come
            last = (source.images - 1) % source.batch_size + 1
            check_shares([source.batch_size, last] if source.steps > 1 else [last], self._devices)
        self._epoch, self._next = None, 0

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, number: int):
        if self._epoch is None or number != self._next:  # Keras only looks what batches look like; no epoch has begun
            size = (1 + number) * self._devices
            empty = [np.zeros((size, *tensor.shape[1:]), tensor.dtype) for tensor in self._inputs]
            return self._batch(empty, np.zeros(size, np.int64))
        try:
            tensors, labels = next(self._epoch)
            if not self.kept:
                check_shares([len(labels)], self._devices)
                if number == self.steps - 1:
                    next(self._epoch, None)  # to the end: there may be more, which is an error
        except StopIteration:
            self.error = _other_number(self.steps, f"only {number}")
            raise self.error from None
        except Exception as error:
            self.error = error
            raise
        self._next += 1
        if self._next == self.steps:
            self._epoch = None
        return self._batch(tensors, labels)

    def _batch(self, tensors: list, labels: np.ndarray) -> tuple:  # Keras 3.6 cannot weigh a PyDataset's classes
        return (single(tensors), labels, *(() if self._weights is None else [self._weights[labels]]))

    def begin(self) -> None:
        """Begin the next epoch."""
        self._epoch, self._next = self._source.epoch(), 0

    def close(self) -> None:
        """Let go of the source: TensorFlow keeps what reads a Python dataset for ever, and this with it (fact 14)."""
        self._source, self._epoch = None, None


def make_batches(frozen: Frozen, dataset, views, shuffle: bool, verbose: int, label: str) -> Kept | Streamed:
    """Batches for the part that learns: kept, or streamed if that is wanted or there is no room to keep them.

    Args:
        frozen, dataset, views, verbose, label: as for `run_frozen`; `views` may also be "fresh". In a model without
            augmentation all views are alike: none is kept.
        shuffle: draw what is kept in a new order in each epoch: the images are learned from. If the dataset gives other
            images in another pass, because it augments them itself, nothing is kept.
    """
    if views != FRESH and (frozen.depth or not shuffle):  # with nothing frozen, training has nothing to keep
        glance = Glance(dataset)
        kept = run_frozen(frozen, glance, views if frozen.augments else 0, shuffle, verbose, label)
        if kept and not frozen.draws_unasked(glance.first) and not (shuffle and glance.finds_others()):
            return kept
        if verbose:
            reason = (
                "other images or labels in each pass (from augmentation, or drop_remainder?)"
                if kept
                else "no room to keep the frozen part's outputs"
            )
            print(f"{label}: {reason}, so the frozen part runs in every epoch", flush=True)
    return Streamed(frozen, dataset, views)


def choose_views(images: int, wanted: int | str | None = None) -> int | str:
    """The views that are wanted; where nobody said how many, the usual number of each image (benchmarks/views.py)."""
    return min(MOST_VIEWS, MOST_EXTRA // images) if wanted is None else wanted


def run_frozen(
    frozen: Frozen,
    dataset,
    views: int | None = 0,
    shuffle: bool = False,
    verbose: int = 1,
    label: str = "reading images",
) -> Kept | None:
    """Run the frozen part over a dataset, once as it is and once for each augmented view, and keep the result.

    Args:
        frozen: the part to run.
        dataset: batches of (images, labels): images uint8 or float, 0–255, (batch, height, width, 3).
        views: augmented views of each image to keep beside the image as it is; None for the usual number.
        shuffle: as for `Kept`.
        verbose: 0 for silence, 1 for a progress bar.
        label: what the progress bar calls the pass.

    Returns:
        `Kept`, in memory or in a temporary file; None where there is room in neither.

    Raises:
        ValueError, OSError: as `find_room` does.
    """
    count, batches = count_batches(dataset), iter(dataset)
    first = list(itertools.islice(batches, 2))
    batch_size = _usual_size(first)
    most = _most_images(dataset, count, batch_size)
    rows = 1 + choose_views(most, views)
    shapes = [(rows, most, *output.shape[1:]) for output in frozen.outputs]
    room = find_room(shapes, least=batch_size * size_in_bytes(frozen.outputs))
    if room is None:
        return None
    labels, start = [], 0
    with Progress(label, verbose) as progress:
        progress.expect(rows * most)
        progress.advance(0, _outlook(frozen, room, most, rows, shuffle))
        for images, batch_labels in itertools.chain(first, batches):
            check_labels(batch_labels, frozen.classes)
            if len(batch_labels) > batch_size:
                raise ValueError(
                    f"The batches hold {batch_size} images and {len(batch_labels)}. Expected one size, apart from a "
                    f"smaller one: `dataset.unbatch().batch({batch_size})`."
                )
            end = start + len(batch_labels)
            if end > most:
                raise _other_number(count, "more")
            for row in range(rows):
                tensors = frozen.run(images, augment=row > 0, remember=True)
                for array, tensor in zip(room.arrays, tensors, strict=True):
                    array[row, start:end] = tensor
                progress.advance(end - start)
            release(room.arrays)
            labels.append(np.asarray(batch_labels))
            start = end
    if len(labels) != count:
        raise _other_number(count, "only " * (len(labels) < count) + str(len(labels)))
    return Kept([array[:, :start] for array in room.arrays], np.concatenate(labels), batch_size, shuffle)


def _other_number(at_first: int, now: str) -> ValueError:
    return ValueError(
        f"The dataset gave {at_first} batches at first, and {now} now. Expected the same number in each pass."
    )


def _outlook(frozen: Frozen, room: Room, images: int, rows: int, shuffle: bool) -> str:
    """What people should know of the room that is taken, before a long pass."""
    said = [room.place]
    if shuffle and frozen.bytes_later:
        later = size_text(images * frozen.bytes_later)
        said.append(f"phase 2, with {frozen.layers_later} layers: {later}, and as much for each view")
    if rows > 1 and isinstance(room.arrays[0], np.memmap):
        said.append(f"with views=0 only {size_text(sum(array[0].nbytes for array in room.arrays))}")
    return "; ".join(said)


def _usual_size(first_batches) -> int:
    """Images in a batch, from the first two: batches that were shuffled may begin with the smaller last one."""
    if not first_batches:
        raise ValueError(
            "The dataset gave nothing in a second pass. Expected the same images in each: is it made from a generator "
            "that is used up?"
        )
    return max(len(labels) for _, labels in first_batches)


def _most_images(dataset, batches: int, batch_size: int) -> int:
    """How many images a dataset has: known where `load_images` made it, else as if each batch were full."""
    held = getattr(dataset, "rows", None)
    return batches * batch_size if held is None else len(held.numbers)
