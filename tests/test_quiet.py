"""TensorFlow's warning of frequent retracing stays away where it is wrong, and nowhere else."""

import logging
import subprocess
import sys

import pytest

from kerastl.quiet import no_retracing_warnings, not_of_retracing

PROGRAM = """
import logging, sys
import keras, numpy as np
import kerastl as tl
from kerastl.data import make_dataset

if "loud" in sys.argv:
    logging.Logger.addFilter = lambda *_: None
images, labels = np.zeros((12, 32, 32, 3), np.uint8), np.arange(12) % 2
data = tl.ImageData(*(make_dataset(images, labels, 4),) * 3, ["a", "b"])
for _ in range(6):
    pixels = keras.Input((32, 32, 3))
    base = keras.Model(pixels, keras.layers.Conv2D(4, 3)(pixels))
    image = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(base(image))
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(pooled))
    tl.freeze(model)
    tl.train_head(model, data, epochs=1, verbose=0)
    tl.evaluate(model, data.test)
    tl.predict(model, images[0], class_names=["a", "b"])
"""


def test_only_that_warning_is_left_out_and_only_in_the_context(caplog):
    caplog.set_level("WARNING", logger="tensorflow")  # whatever an earlier test has left
    logger, message = logging.getLogger("tensorflow"), "5 out of the last 9 calls triggered tf.function retracing."
    logger.removeFilter(not_of_retracing)  # a lesson that began in this process has left it
    with no_retracing_warnings():
        logger.warning(message)
        logger.warning("something else")
    logger.warning(message)
    assert caplog.messages == ["something else", message]


@pytest.mark.slow
@pytest.mark.parametrize("loud", [False, True])
def test_training_evaluation_and_prediction_do_not_warn(loud):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, "loud" if loud else ""], capture_output=True, text=True, check=True
    )
    assert ("triggered tf.function retracing" in run.stderr) == loud
