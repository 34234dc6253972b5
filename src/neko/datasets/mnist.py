"""MNIST: 70,000 handwritten digits of 28 × 28 pixels."""

from __future__ import annotations

import gzip

import numpy as np

from neko.datasets.dataset import Dataset
from neko.datasets.entry import DATASETS
from neko.datasets.fetch import DataFile, find

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
CONTENTS = {
    "train-images-idx3-ubyte.gz": (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    "train-labels-idx1-ubyte.gz": (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    "t10k-images-idx3-ubyte.gz": (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    "t10k-labels-idx1-ubyte.gz": (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
}
FILES = {
    name: DataFile(f"mnist/{name}", (f"sha256:{sha256}",), tuple(mirror + name for mirror in MIRRORS), size)
    for name, (size, sha256) in CONTENTS.items()
}


@DATASETS.register(
    "mnist", about="70,000 handwritten digits of 28 × 28 pixels", licence="CC BY-SA 3.0", files=tuple(FILES.values())
)
def load() -> Dataset:
    """MNIST with the rows of an image as time: ``x`` (examples, 28, 28) in [0, 1].

    References
    ----------
    LeCun et al. (1998), doi:10.1109/5.726791. Licence: CC BY-SA 3.0.
    """
    images = [read(f"{part}-images-idx3-ubyte.gz", header=16).reshape(-1, 28, 28) for part in ("train", "t10k")]
    labels = [read(f"{part}-labels-idx1-ubyte.gz", header=8).astype(np.int64) for part in ("train", "t10k")]
    x_train, x_test = (image.astype(np.float32) / np.float32(255.0) for image in images)
    return Dataset(x_train, labels[0], x_test, labels[1], 10)


def read(name: str, *, header: int) -> np.ndarray:
    """The bytes of an idx file after its header."""
    return np.frombuffer(gzip.decompress(find(FILES[name]).read_bytes()), np.uint8, offset=header)
