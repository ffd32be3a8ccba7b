# ---
# title: "Pictures in: what can go wrong before training begins?"
# minutes: 30
# needs: lesson 0
# step: look
# goals:
#   - split pictures into three parts, and find a leak between them
#   - say which pixels a base wants, and let the model scale them
#   - choose an augmentation by looking at it
# ---

# %% [markdown]
# ## The idea
#
# Most mistakes in this field happen before training begins. They give no error. The training runs, a number comes out,
# and the number is wrong.
#
# So this lesson is about looking: at the parts, at the pixels, and at what augmentation makes of them.

# %%
import keras
import numpy as np
import kerastl as tl
from kerastl.data import as_arrays, make_dataset

data = world.load()

# %% [markdown]
# ## 1. Three parts
#
# **Training** pictures: the network learns from them. **Validation** pictures: we watch and choose with them, such as the
# number of epochs. **Test** pictures: they choose nothing, and are used once, at the end.
#
# **Predict.** You try ten settings and keep the one that is best on the test pictures. Is its test accuracy honest?
#
# <details><summary>Answer</summary>No. The best of ten is partly luck, and the luck is in the number. That is why there is a
# validation part.</details>

# %%
parts = {name: as_arrays(getattr(data, name)) for name in ("train", "validation", "test")}
for name, (images, labels) in parts.items():
    print(f"{name:10} {len(labels):5,} pictures, of each class {np.bincount(labels)}")

# %% [markdown]
# Each class has nearly the same share in each part. `load_images` splits each class by itself. In a folder that has parts
# already, it keeps them.

# %% [markdown]
# ## 2. Leaks
#
# A **leak** is a picture that is in two parts. The network has seen it with its answer, so the test measures memory.
#
# A common cause: one picture was saved twice, under two names. Another: a data set that shuffles itself is cut with `take`
# and `skip`. It is shuffled again at each pass, and the border between the parts moves.
#
# **Predict.** How many pictures are in two parts here?
#
# <details><summary>Answer</summary>None, if the set was made with care. The cell below counts them. A set from the web often
# has some.</details>


# %%
def fingerprints(name):
    return {image.tobytes() for image in parts[name][0]}


shared = len(fingerprints("train") & fingerprints("test"))
print(f"{shared} test pictures are training pictures, too")

# %% [markdown]
# **Checkpoint.**

# %%
assert len(parts["test"][1]) > 50, "Run the cells from the top."
assert shared <= 0.02 * len(parts["test"][1]), "Too many pictures are in two parts. Remove the doubles."

# %% [markdown]
# ## 3. Pixels
#
# A picture is a grid of numbers from 0 to 255: red, green and blue at each place. But each base was trained on numbers of
# its own kind. One wants -1 to 1, one wants 0 to 1 less a mean, one wants blue before red.
#
# Other numbers give no error. The base answers anyway, but it answers nonsense.

# %%
pixels = parts["train"][0]
print(f"our pictures: {pixels.dtype}, from {pixels.min()} to {pixels.max()}")

# %%
for name in ("mobilenet_v2", "vgg16", "densenet", "efficientnet"):
    scaled = getattr(keras.applications, name).preprocess_input(np.array([[[[0, 128, 255]]]], "float32"))
    print(f"{name:14} makes of 0, 128, 255: {np.round(np.ravel(scaled), 2)}")

# %% [markdown]
# EfficientNet seems to do nothing: it scales inside. Nobody can keep all this in mind. So `build_model` puts the scaling
# into the model, and raw pixels go in, always.
#
# **Predict.** What happens if you divide by 255 all the same?
#
# <details><summary>Answer</summary>The model would see pictures that are nearly black. Here you get an error that says so;
# in plain Keras you get none.</details>

# %%
dark = data._replace(train=data.train.map(lambda images, labels: (images / 255, labels)))
try:
    tl.train_head(world.build(data), dark, epochs=1, verbose=0)
except ValueError as error:
    print(error)

# %% [markdown]
# ## 4. Augmentation
#
# A flower that is turned a little is the same flower. **Augmentation** makes such changes by chance, in training only: the
# network sees more kinds of pictures than there are.
#
# Which changes are right depends on the task. A flower may be mirrored. A handwritten digit may not.
#
# **Predict.** Does augmentation also act when the model is tested?
#
# <details><summary>Answer</summary>No. In testing the picture goes through as it is.</details>

# %%
model = world.build(data)
picture = parts["test"][0][0]
figure = tl.plot_augmentation(model, picture)

# %% [markdown]
# The first picture is as it is, the others are what the model sees in training. Could you still name each of them? Then
# the augmentation is not too strong.

# %%
for name, answer in (
    ("model.predict", lambda x: model.predict(x, verbose=0)),
    ("model(...)", lambda x: model(x).numpy()),
):
    one, two = answer(picture[None]), answer(picture[None])
    print(f"{name:13} asked twice: the answers differ by {np.abs(one - two).max():.3f}")

# %% [markdown]
# `predict` and `evaluate` do not augment. But whoever calls the model like a function gets an augmented picture: in Keras,
# these layers take it that you are training unless you say otherwise. So write `model(x, training=False)`.

# %% [markdown]
# ## Break it on purpose
#
# Here is a leak, made on purpose. To see it alone, we give each picture a label by **chance**. Nothing true can be learned
# from such labels. An honest test must come out at guessing.

# %%
chance = np.random.default_rng(0)
drawn = {name: chance.integers(len(data.class_names), size=len(labels)) for name, (_, labels) in parts.items()}
half = len(drawn["test"]) // 2
images = np.concatenate([parts["train"][0], parts["test"][0][:half]])
labels = np.concatenate([drawn["train"], drawn["test"][:half]])
training = {
    "honest": make_dataset(parts["train"][0], drawn["train"], shuffle=True),
    "leaky": make_dataset(images, labels, shuffle=True),  # with half of the test pictures
}
test = make_dataset(parts["test"][0], drawn["test"])

# %%
for name, pictures in training.items():
    trained = world.build(data)
    tl.train_head(trained, data._replace(train=pictures), epochs=40, learning_rate=1e-2, verbose=0)
    print(f"{name}: test accuracy {tl.evaluate(trained, test).accuracy:.3f}")
print(f"guessing: {1 / len(data.class_names):.3f}")

# %% [markdown]
# The leaky one seems to know what nobody can know. It remembers. With true labels a leak does the same, but there the
# number looks like success. The **symptom** is a test accuracy that is too good. The **repair** is to look for doubles
# before training.

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** How many training pictures are there of the first class?

# %% tags=["exercise"]
first = ...
# solution
first = int((parts["train"][1] == 0).sum())

# %%
check("Exercise 1", first, lambda n: n == np.bincount(parts["train"][1])[0], "Count the zeros in the labels.")

# %% [markdown]
# **Exercise 2 ★★** Choose ten training pictures of each class, none of them twice. Put their numbers (their places in
# `parts["train"]`) into `ten_of_each`.

# %% tags=["exercise"]
ten_of_each = ...
# solution
kinds = range(len(data.class_names))
ten_of_each = np.concatenate([np.flatnonzero(parts["train"][1] == kind)[:10] for kind in kinds])

# %%
check(
    "Exercise 2",
    ten_of_each,
    lambda rows: len(set(rows)) == len(rows) and set(np.bincount(parts["train"][1][list(rows)])) == {10},
    "`np.flatnonzero(labels == kind)` gives all places of a class.",
)

# %% [markdown]
# **Exercise 3 ★★★** Which two test pictures are most alike? Compare all with the first one: put the number of the picture
# with the smallest mean difference to `parts["test"][0][0]`, other than itself, into `twin`.

# %% tags=["exercise"]
twin = ...
# solution
distances = [np.abs(other.astype(float) - picture).mean() for other in parts["test"][0][1:]]
twin = 1 + int(np.argmin(distances))

# %%
differences = np.abs(parts["test"][0].astype(float) - picture).mean(axis=(1, 2, 3))
check("Exercise 3", twin, lambda n: n == 1 + np.argmin(differences[1:]), "Leave out the picture itself.")

# %% [markdown]
# ## What you have seen
#
# - Three parts, made once, class by class, without a common picture.
# - Raw pixels go in; the scaling belongs into the model.
# - Look at augmented pictures before you use them.
#
# **Can you say it without looking?** Why does a leak make the number better? Why must each base get its own scaling? When
# does augmentation act?
#
# **Read on:** `tests/test_traps.py` of this project, fact 5, shows how `shuffle`, `take` and `skip` leak.
