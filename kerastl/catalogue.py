"""Read an image set of the catalogue of TensorFlow Datasets into one array, by its name."""

import difflib
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from kerastl.bases import BUNDLED_SETS, suggest
from kerastl.extras import import_extra
from kerastl.folders import nearest_parent
from kerastl.reading import as_pixels
from kerastl.sources import READ_AT_ONCE, Pictures, digest, find_part_names
from kerastl.storage import find_room_for_pictures, release

PATIENCE = 10  # seconds in which a server has to answer


def read_tfds(name: str, size, how: str) -> Pictures:
    """Read the pictures of a TensorFlow Datasets set, in its own order."""
    from PIL import Image

    try:
        tfds = import_extra("tensorflow_datasets", "tfds")
    except ImportError as error:
        raise ImportError(f"{_unknown(name, BUNDLED_SETS)} For the last: {error}") from error
    try:
        builder = tfds.builder(name)
    except (tfds.core.DatasetNotFoundError, AssertionError, ValueError) as error:
        word, known = _word(name), tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(word, known, cutoff=0.75)
        raise ValueError(_unknown(name, [*BUNDLED_SETS, *near])) from error
    features, keys = builder.info.features, builder.info.supervised_keys
    if not (
        keys
        and len(keys) == 2
        and isinstance(features[keys[0]], tfds.features.Image)
        and isinstance(features[keys[1]], tfds.features.ClassLabel)
    ):
        raise ValueError(f"TensorFlow Datasets' {name!r} is not an image classification set.")
    try:
        _look_for_network(builder)
        builder.download_and_prepare()
    except ImportError:
        raise
    except Exception as error:  # TFDS raises whatever its many download paths raise
        raise ConnectionError(
            f"Could not download {name!r} with TensorFlow Datasets ({type(error).__name__}: {error}). Check the "
            "connection; or copy a prepared set from another machine to ~/tensorflow_datasets; or, without one, use "
            'the bundled pictures: load_images("drawn_flowers").'
        ) from error
    splits = builder.info.splits
    parts = find_part_names(splits, f"TensorFlow Datasets' {name!r}")
    if "train" not in parts:
        raise ValueError(f"TensorFlow Datasets' {name!r} has no part named 'train'; it has {list(splits)}.")
    count, names, digests = sum(splits[split].num_examples for split in parts.values()), [], []
    images, labels, rows = find_room_for_pictures(count, size), np.empty(count, np.int64), {}
    for part, split in parts.items():
        start = len(digests)
        for image, label in tfds.as_numpy(builder.as_dataset(split=split, as_supervised=True)):
            end = len(digests)
            images[end] = as_pixels(Image.fromarray(np.squeeze(image)), size, how)
            labels[end] = label
            names.append(str(end - start))
            digests.append(digest(images[end]))
            if end % READ_AT_ONCE == 0:
                release([images])
        rows[part] = np.arange(start, len(digests))
    return Pictures(images, labels, rows, list(features[keys[1]].names), names, None, digests)


def _word(name: str) -> str:
    """The name of a set without its configuration and version."""
    return name.split("/")[0].split(":")[0]


def _unknown(name: str, known) -> str:
    """What is said of a name that stands for no pictures here; `known` are the names that may be meant."""
    near = suggest(_word(name), known)
    return (
        f"Unknown images: {name!r}. There is no folder {name!r} here; {nearest_parent(Path(name))} Expected a "
        f"folder, a bundled set ({', '.join(BUNDLED_SETS)}) or the name of a TensorFlow Datasets set. "
        f"{near if near.startswith('Did') else ''}"
    ).rstrip()


def _look_for_network(builder) -> None:
    """Raise ConnectionError when a set has to be downloaded and nobody answers: TFDS itself tries for minutes."""
    downloads = Path(builder.data_dir_root) / "downloads"
    had = ("*.INFO", f"{builder.name}/*.INFO", "manual/*")  # TFDS notes so what it has downloaded
    if os.path.exists(builder.data_dir) or any(any(downloads.glob(files)) for files in had):
        return  # the set, or archives that may be enough: TFDS will see
    urls = {} if builder.MANUAL_DOWNLOAD_INSTRUCTIONS else builder.url_infos or {}
    if urls and not any(_answers(url) for url in urls):
        hosts = sorted({urlsplit(url).hostname for url in urls})
        raise ConnectionError(f"no answer from {', '.join(hosts)}")


def _answers(url: str) -> bool:
    """Whether the server, or the proxy through which it would be asked, takes a connection."""
    from requests import utils  # what TFDS downloads with

    proxy = utils.select_proxy(url, utils.get_environ_proxies(url))
    address = urlsplit(utils.prepend_scheme_if_needed(proxy, "http") if proxy else url)
    port = address.port or {"https": 443, "ftp": 21}.get(address.scheme, 80)
    try:
        socket.create_connection((address.hostname, port), PATIENCE).close()
    except OSError:
        return False
    return True
