# ---
# title: "Your project: from a folder of pictures to a model that others use?"
# minutes: 45
# needs: lessons 0 to 9, or at least 0, 2, 6 and 9
# step: save and use
# goals:
#   - check a folder of your own pictures before training
#   - train on classes of unequal size
#   - save, load, and hand over a model, also as Keras's own export
# ---

# %% [markdown]
# ## The idea
#
# Now with pictures of your own. Put them into one folder for each class:
#
# ```
# my_pictures/
#     cat/    001.jpg  002.jpg  …
#     dog/    001.jpg  002.jpg  …
# ```
#
# To try it without any, this lesson makes such a folder from the pictures of this course. It has two faults that real
# folders have, too: a broken file, and one class that is much smaller.

# %%
from pathlib import Path
from tempfile import mkdtemp
import numpy as np
from PIL import Image
import kerastl as tl
from kerastl.data import as_arrays

source = world.load()
folder = Path(mkdtemp()) / "my_pictures"

# %%
SMALL = 0  # the class that gets few pictures
pictures, labels = as_arrays(source.train)
for label, name in enumerate(source.class_names):
    (folder / name).mkdir(parents=True)
    rows = np.flatnonzero(labels == label)[: 15 if label == SMALL else 60]
    for number, row in enumerate(rows):
        Image.fromarray(pictures[row]).save(folder / name / f"{number:03d}.png")
(folder / source.class_names[1] / "broken.jpg").touch()  # empty

# %% [markdown]
# ## 1. Check
#
# **Predict.** One file is broken. Will `load_images` stop, or go on?
#
# <details><summary>Answer</summary>It goes on without the file and warns you. Nothing is deleted.</details>

# %%
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    data = tl.load_images(folder, image_size=world.image_size)
print(str(caught[-1].message).splitlines()[0])

# %%
_, labels = as_arrays(data.train)
for name, count in zip(data.class_names, np.bincount(labels)):
    print(f"{name:12} {count}")

# %% [markdown]
# Look at every class. Wrong labels, doubles, and pictures of something else are found by looking, and by nothing else.

# %%
figure = tl.plot_images(data, count=10)

# %% [markdown]
# **Checkpoint.**

# %%
assert len(data.class_names) >= 2 and min(np.bincount(labels)) >= 3, "Each class needs a few training pictures."

# %% [markdown]
# ## 2. Classes of unequal size
#
# The small class is rarely seen in training. The network may learn that it is rarely right to name it.
#
# A **class weight** makes its pictures count more in the loss.
#
# **Predict.** With class weights, will the recall of the small class rise or fall?
#
# <details><summary>Answer</summary>It rises, or stays. The precision of that class may fall: it is named more often.</details>


# %%
def recall_of_small(weights):
    model = world.build(data)
    tl.train_head(model, data, epochs=8, class_weight=weights, verbose=0)
    return model, tl.evaluate(model, source.test).class_scores[SMALL]


_, plain = recall_of_small(None)
print(f"without weights: recall {plain.recall:.3f}, precision {plain.precision:.3f}")

# %%
sizes = np.bincount(labels)
weights = {number: len(labels) / (len(sizes) * count) for number, count in enumerate(sizes)}
model, weighted = recall_of_small(weights)
print(f"with weights:    recall {weighted.recall:.3f}, precision {weighted.precision:.3f}")

# %% [markdown]
# We measure on the test pictures of the course here, because there are more of them than in our small folder. One run
# each: a small difference means nothing.

# %% [markdown]
# ## 3. Phase 2, and the test
#
# **Predict.** Which of the two results below may you report to others?
#
# <details><summary>Answer</summary>The one on test pictures, measured once, after all choices.</details>

# %%
print(tl.unfreeze_top(model, 30))
phase2 = tl.fine_tune(model, data, epochs=6, class_weight=weights, verbose=0)
print("validation:", tl.evaluate(model, data.validation))
print("test:      ", tl.evaluate(model, data.test))

# %% [markdown]
# The interval is wide, since there are few pictures. That is honest. More test pictures make it narrower.

# %% [markdown]
# ## 4. Save and hand over
#
# One file holds the network, the scaling of the pixels, and the names of the classes. If you save only the weights, you lose
# the rest: a year later nobody knows which class is number 3.

# %%
file = tl.save(model, folder.parent / "mine.keras", data.class_names, summary={"pictures": "my own", "seed": 0})
loaded = tl.load(file)
print(loaded.class_names, f"{file.stat().st_size / 1e6:.1f} MB")

# %%
for guess in tl.predict(file, folder / data.class_names[2] / "000.png"):
    print(f"{guess.class_name:12} {guess.probability:.3f}")

# %% [markdown]
# Somebody without this package can open the file with Keras alone. And Keras can export a model for a server, which needs
# neither Keras nor this package. The line with `training=False` says that the model is in use now, and not in training.
#
# **Predict.** Which pixels does the exported model want?
#
# <details><summary>Answer</summary>Raw ones, 0 to 255, as always: the scaling is inside.</details>

# %%
from contextlib import redirect_stdout
from io import StringIO
import keras
import tensorflow as tf

image, same = keras.Input(model.input_shape[1:]), keras.models.load_model(file)
in_use = keras.Model(image, same(image, training=False))
with redirect_stdout(StringIO()):  # else it lists every weight
    in_use.export(folder.parent / "served")
print("exported:", sorted(path.name for path in (folder.parent / "served").iterdir()))

# %%
picture = tf.cast(next(iter(data.test))[0][:1], "float32")
server = tf.saved_model.load(str(folder.parent / "served"))
answers = server.serve(picture), model.predict_on_batch(picture)
print("the same answer as before:", bool(np.allclose(*answers, atol=1e-4)))

# %% [markdown]
# ## Break it on purpose
#
# Somebody exports the loaded model directly, as Keras's pages show it, without `training=False`.

# %%
with redirect_stdout(StringIO()):
    same.export(folder.parent / "careless")
careless = tf.saved_model.load(str(folder.parent / "careless"))
asked = np.stack([careless.serve(picture).numpy()[0] for _ in range(5)])
print("one picture, asked five times:", ", ".join(f"{probability:.3f}" for probability in asked[:, asked[0].argmax()]))

# %% [markdown]
# The server gives another answer each time: it augments. In Keras, augmentation layers take it that you are training unless
# you say otherwise, and `export` says nothing. The **symptom**: ask twice. The **repair**: the line with `training=False`.
#
# `tl.without_augmentation` does it for you: it gives the same model without its augmentation layers. Give this model to
# converters, too: to LiteRT for phones, to ONNX.

# %%
with redirect_stdout(StringIO()):
    tl.without_augmentation(same).export(folder.parent / "careful")
careful = tf.saved_model.load(str(folder.parent / "careful"))
asked = np.stack([careful.serve(picture).numpy()[0] for _ in range(5)])
print("one picture, asked five times:", ", ".join(f"{probability:.3f}" for probability in asked[:, asked[0].argmax()]))

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** How many pictures of the small class are in the training part?

# %% tags=["exercise"]
small = ...
# solution
small = int(np.bincount(labels)[SMALL])

# %%
check("Exercise 1", small, lambda n: n == (labels == SMALL).sum(), "Count the labels.")

# %% [markdown]
# **Exercise 2 ★★** Read what `tl.save` was told about the training: `kerastl.saving.load_summary` gives it back. Put it into
# `told`.

# %% tags=["exercise"]
told = ...
# solution
from kerastl.saving import load_summary

told = load_summary(file)

# %%
check("Exercise 2", told, lambda d: d == {"pictures": "my own", "seed": 0}, "Give it the path of the file.")

# %% [markdown]
# **Exercise 3 ★★★** Your own project. Load your own folder, train, and put the `Evaluation` of its test pictures into
# `project`. (Without pictures: use `data` and `model`.)

# %% tags=["exercise"]
project = ...
# solution
project = tl.evaluate(model, data.test)

# %%
check("Exercise 3", project, lambda r: 0 <= r.accuracy <= 1 and len(r.labels) > 1, "`tl.evaluate(model, data.test)`.")

# %% [markdown]
# ## How a project is judged
#
# | | not yet | good | very good |
# |---|---|---|---|
# | **Data** | not looked at | counted, looked at, parts without a common picture | doubles and wrong labels found and told |
# | **Baseline** | none | guessing, and phase 1 alone | also a simple classifier on features |
# | **Training** | one run | phases, choices made on validation pictures | five seeds, with spread |
# | **Test** | used many times | used once, with interval | mistakes shown and explained |
# | **Handing over** | a notebook | one file that predicts | with a note on what it must not be used for |

# %% [markdown]
# ## What you have seen
#
# - Check the folder, look at the pictures, mind unequal classes.
# - Choose on validation pictures, report on test pictures.
# - Hand over one file with everything inside.
#
# **Can you say it without looking?** What does a class weight do? Why is the interval so wide? What is lost when only the
# weights are saved?
#
# **Read on:** the README of this project, "Your own photos", for the same on the command line.
