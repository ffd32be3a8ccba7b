# ---
# title: "Your project: from a folder of pictures to a model that others use?"
# minutes: 45
# needs: lessons 0 to 9, or at least 0, 2, 6 and 9
# step: save and use
# goals:
#   - check a folder of your own pictures before training
#   - train on classes of unequal size
#   - save, load, predict and export in plain Keras, and hand over one file
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
# To try it without any, this lesson makes such a folder from the pictures of this course. It has three faults that real
# folders have, too: a broken file, a picture that is there twice, and one class that is much smaller.

# %%
import shutil
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
again = shutil.copy(folder / source.class_names[2] / "007.png", folder / source.class_names[2] / "again.png")

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
for line in str(caught[-1].message).splitlines()[:2]:
    print(line.replace(f"{folder.parent}/", ""))

# %%
print(tl.check_images(folder))

# %% [markdown]
# `check_images` finds what a program can find: broken files, pictures that are there twice, and pictures that are nearly the same.
# Two copies are no harm for us: `load_images` keeps them in one part. Wrong labels, and pictures of something else, are found
# only by looking. So look at every class.

# %%
figure = tl.plot_images(data, count=10)

# %% [markdown]
# **Checkpoint.**

# %%
_, labels = as_arrays(data.train)
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
    return model, tl.evaluate(model, source.validation).class_scores[SMALL]


_, plain = recall_of_small(None)
print(f"without weights: recall {plain.recall:.3f}, precision {plain.precision:.3f}")

# %%
sizes = np.bincount(labels)
weights = {number: len(labels) / (len(sizes) * count) for number, count in enumerate(sizes)}
model, weighted = recall_of_small(weights)
print(f"with weights:    recall {weighted.recall:.3f}, precision {weighted.precision:.3f}")

# %% [markdown]
# We measure on the validation pictures of the course here, because there are more of them than in our small folder. The test
# pictures stay closed: with or without class weights is a choice. One run each: a small difference means nothing.
#
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
#
# ## 4. Save and hand over
#
# First in plain Keras: `save`, `load_model`, and `predict` on one picture. A picture alone has no batch, and the network
# wants one: `[None]` makes a batch of one.

# %%
import keras

by_keras = folder.parent / "plain.keras"
model.save(by_keras)
same = keras.models.load_model(by_keras)
photo = folder / data.class_names[2] / "000.png"
pixels = keras.utils.img_to_array(keras.utils.load_img(photo, target_size=model.input_shape[1:3]))
answer = same.predict(pixels[None], verbose=0)[0]
print("class", answer.argmax(), f"with probability {answer.max():.4f}")

# %% [markdown]
# The network and the scaling of the pixels are in this file. (`save_weights` would keep the parameters alone: no network, no
# scaling, no names.) But what is class 2? That is in your notebook, and a year later
# nobody knows. `tl.save` writes the names into the file, too, and what you want to note.
#
# **Predict.** Will `tl.predict` give another probability?
#
# <details><summary>Answer</summary>No. It is the same network. Only the names are new.</details>

# %%
file = tl.save(model, folder.parent / "mine.keras", data.class_names, summary={"pictures": "my own", "seed": 0})
for guess in tl.predict(file, photo):
    print(f"{guess.class_name:12} {guess.probability:.4f}")
print(f"{file.stat().st_size / 1e6:.1f} MB, classes: {', '.join(tl.load(file).class_names)}")

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
# `tl.export` does it for you (with `tl.without_augmentation`), and compares the file with the model. The ending of the name
# chooses the format: `.tflite` is LiteRT, for phones. With `int8=`, each weight is a number of 8 bits.
#
# **Predict.** Our own file holds weights of 32 bits. What fraction of its size will remain?
#
# <details><summary>Answer</summary>A quarter of the weights, and a little for the network itself.</details>

# %%
small = tl.export(file, folder.parent / "mine.tflite", int8=data)
print(f"{small.format}: {small.size / 1e6:.2f} MB, {small.size / file.stat().st_size:.2f} of our own file")
print(f"the same class for {small.agreement:.0%} of {small.asked} validation pictures")
print("beside it, for the phone:", ", ".join(small.labels.read_text(encoding="utf-8").split()[:2]), "…")

# %% [markdown]
# Not everybody writes Python. In a terminal, with the paths of your own file and folder (`print(file, folder)` shows those of
# this lesson):
#
# ```
# python -m kerastl serve mine.keras --pictures my_pictures
# ```
#
# Open the address that it prints, and drop a photo, or use the camera. You see the classes, the heat map, and the training
# pictures that the model finds most alike. Nothing leaves your machine. Ctrl-C ends it.

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** Count the *validation* pictures of each class. Put the counts, as an array,
# into `counts`.

# %% tags=["exercise"]
counts = ...
# solution
counts = np.bincount(as_arrays(data.validation)[1])
# wrong: 9
# wrong: np.bincount(as_arrays(source.validation)[1])
# wrong: sizes
# wrong: np.bincount(as_arrays(data.test)[1])
# wrong: len(labels)

# %%
check(
    "Exercise 1",
    counts,
    lambda n: np.array_equal(n, np.bincount(as_arrays(data.validation)[1])),
    "`as_arrays` gives pictures and labels.",
)

# %% [markdown]
# **Exercise 2 ★★** What did we note when we saved? `kerastl.saving.load_summary` reads it from the file. Put it into `told`.

# %% tags=["exercise"]
told = ...
# solution
from kerastl.saving import load_summary

told = load_summary(file)
# wrong: 0
# wrong: {}
# wrong: "my own"
# wrong: {"pictures": "my own"}

# %%
check("Exercise 2", told, lambda noted: noted == {"pictures": "my own", "seed": 0}, "Give it the path of the file.")

# %% [markdown]
# **Exercise 3 ★★★** Somebody gets only your file and a folder. Write a function `name_pictures(file, folder)` that gives
# `{name of a picture's file: name of its class}` for each picture in the folder. A file that is no picture must not stop it:
# leave it out. Use `keras.models.load_model`, `keras.utils.load_img` and `predict`. The names of the classes are in
# `tl.load(file).class_names`.

# %% tags=["exercise"]
name_pictures = ...


# solution
def name_pictures(file, folder):
    network, class_names, said = keras.models.load_model(file), tl.load(file).class_names, {}
    for path in sorted(folder.iterdir()):
        try:
            picture = keras.utils.load_img(path, target_size=network.input_shape[1:3])
        except OSError:
            continue
        answers = network.predict(np.array(picture)[None], verbose=0)
        said[path.name] = class_names[answers.argmax()]
    return said


# wrong: {"000.png": data.class_names[0]}
# wrong: lambda file, folder: {path.name: folder.name for path in folder.iterdir()}
# wrong: lambda file, folder: {path.name: data.class_names[0] for path in folder.glob("*.png")}
# wrong: lambda file, folder: {path.name: tl.predict(loaded, path)[0].probability for path in folder.glob("*.png")}
# wrong: lambda file, folder: {path.name: tl.predict(loaded, path)[0].class_name for path in folder.glob("*.png")}
# wrong: 5

# %%
unseen, loaded = Path(mkdtemp()), tl.load(file)
for number, (picture, label) in enumerate(list(zip(*next(iter(data.validation))))[:8]):
    Image.fromarray(picture.numpy()).save(unseen / f"{number}.png")
(unseen / "notes.txt").write_text("no picture")
files = (file, tl.save(model, folder.parent / "other.keras", data.class_names[::-1]))
expected = [{path.name: tl.predict(one, path)[0].class_name for path in unseen.glob("*.png")} for one in files]
check("Exercise 3", name_pictures, lambda name: [name(one, unseen) for one in files] == expected, "Try it on `unseen`.")

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
# parameters are saved?
#
# **Now alone:** [capstone.ipynb](capstone.ipynb) is an empty page: a folder, plain Keras, and at the end a cell that examines
# what you did.
#
# **Read on:** the README of this project, "Your own photos", for the same on the command line.
