# ---
# title: "Pictures in: what can go wrong before training begins?"
# minutes: 35
# needs: lesson 0
# step: look
# goals:
#   - load a folder in plain Keras, in parts that share no picture, and find doubles and near-doubles
#   - say which pixels a base wants, and let the model scale them
#   - choose an augmentation by looking at it
# ---

# %% [markdown]
# ## The idea
#
# Many mistakes in this field happen before training begins. They give no error. The training runs, a number comes out,
# and the number is wrong.
#
# So this lesson is about looking: at the parts, at the pixels, and at what augmentation makes of them. Each step is written
# in plain Keras first. Then the helper replaces it, and we compare the numbers.

# %%
import keras
import numpy as np
import kerastl as tl
from kerastl.bases import bundled_folder
from kerastl.data import as_arrays, make_dataset
from kerastl.graph import find_base_model

data = world.load()

# %% [markdown]
# ## 1. Three parts
#
# ![Three boxes of pictures: a large one to learn, a small one to choose, a small one to use once.](pictures/training-validation-test.svg)
#
# **Training** pictures: the network learns from them. **Validation** pictures: we watch and choose with them, such as the
# number of epochs. **Test** pictures: they choose nothing, and are used once, at the end.
#
# In plain Keras: one folder for each part, and in it one folder for each class. A **batch** is the pictures that go through
# the network together, here 32. `prefetch` gets the next batches ready while the network still works on this one.

# %%
folder, size = bundled_folder() / "drawn_flowers", (96, 96)
read = keras.utils.image_dataset_from_directory
train = read(folder / "train", image_size=size, batch_size=32, seed=0)
validation = read(folder / "validation", image_size=size, batch_size=32, shuffle=False)
test = read(folder / "test", image_size=size, batch_size=32, shuffle=False)
names = train.class_names  # ask before `prefetch`: the new object has no names any more
train, validation, test = train.prefetch(2), validation.prefetch(2), test.prefetch(2)
print(names)

# %% [markdown]
# The helper does this in one line. Is it the same?

# %%
helped = tl.load_images(folder, image_size=size)
(ours, our_labels), (theirs, their_labels) = as_arrays(test), as_arrays(helped.test)
apart = np.abs(ours - theirs)
print("the same names:", names == helped.class_names, "· the same labels:", np.array_equal(our_labels, their_labels))
print(f"pixels: {apart.mean():.4f} apart in the mean, {apart.max():.0f} at most, of 255")

# %% [markdown]
# The files are JPEG, and the two programs that read them round in different ways. So the numbers are a little apart, by less
# than an eye can see.
#
# **Predict.** You try ten settings and keep the one that is best on the test pictures. Is its test accuracy honest?
#
# <details><summary>Answer</summary>No. The best of ten is partly luck, and the luck is in the number. That is why there is a
# validation part.</details>

# %% [markdown]
# ## 2. Leaks
#
# Often a folder has no parts, and you have to split it yourself, without a common picture. Two ways are common. The first cuts the *list of files* once:
# `validation_split`. The second reads everything and cuts the *dataset*, with `take` and `skip`.
#
# **Predict.** How many of the validation pictures are training pictures, too: with the first way, with the second way?
#
# <details><summary>Answer</summary>With the first way none. With the second way many: the dataset is shuffled again at each
# pass, so the border between the parts moves.</details>


# %%
def in_both(first, second):
    """For each picture of the second dataset: does the first one have it, too?"""
    known = {image.tobytes() for images, _ in first for image in np.asarray(images)}
    return [image.tobytes() in known for images, _ in second for image in np.asarray(images)]


learn, watch = read(folder / "train", image_size=size, validation_split=0.25, subset="both", seed=0, verbose=False)
whole = read(folder / "train", image_size=size, seed=0, verbose=False)
for name, first, second in (
    ("list of files cut once", learn, watch),
    ("take and skip", whole.skip(4), whole.take(4)),
    ("load_images, test part", data.train, data.test),
):
    twice = in_both(first, second)
    print(f"{name:23} {sum(twice)} of {len(twice)} are training pictures, too")

# %% [markdown]
# What a training part and a test part share is a **leak**: the network has seen the answer, and the test measures memory.
# `load_images` cuts the list of files, too, and each class by itself, so that each class has its share in each part.
#
# **Checkpoint.**

# %%
shares = [np.bincount(labels) / len(labels) for labels in (as_arrays(data.train)[1], as_arrays(data.test)[1])]
assert np.abs(shares[0] - shares[1]).max() < 0.02, "Each class should have the same share in each part."
assert np.mean(in_both(data.train, data.test)) <= 0.02, "Too many pictures are in two parts. Remove the doubles."

# %% [markdown]
# ### Near-doubles
#
# ![The same picture is marked in the box for training and in the box for test.](pictures/leak.svg)
#
# The function `in_both` finds a picture that was saved twice, byte for byte. It does not find a **near-double**: the same
# photo, a little brighter, or saved again by another program. Here we put three of them into a pile of test pictures.
#
# To find them, we look at **thumbnails**: tiny grey pictures of 8 × 8 fields. How alike are two of them? 1 means the same.

# %%
pictures, tests = as_arrays(data.train)[0], as_arrays(data.test)[0]
noise = np.random.default_rng(0).normal(0, 4, pictures[:3].shape)
near_doubles = np.clip(pictures[:3] * 1.05 + noise, 0, 255).astype("uint8")  # brighter, with noise
pile = np.concatenate([tests, near_doubles])
print("found byte for byte:", sum(in_both([(pictures, None)], [(pile, None)])))


# %%
def thumbnails(images):
    small = keras.ops.image.resize(images.astype("float32"), (8, 8), antialias=True)
    rows = np.asarray(small).mean(axis=3).reshape(len(images), 64)
    rows -= rows.mean(axis=1, keepdims=True)  # how bright the whole is does not count
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


likeness = (thumbnails(pile) @ thumbnails(pictures).T).max(axis=1)  # to the training picture most like it
for number in np.argsort(-likeness)[:6]:
    print(f"picture {number} of the pile: {likeness[number]:.4f}", "(put in by us)" if number >= len(tests) else "")

# %% [markdown]
# Our three stand above all others, with a gap. Where the gap is depends on the pictures, so always *look* at the pairs at the
# top of such a list.
#
# ### Groups
#
# There are doubles that no program finds: five photos of the same **plant**, ten pictures of the same **patient**, a hundred
# frames of the same **video**. Each is a new picture. But the network can remember the plant, with its pot and its wall. Only
# the person who took the photos knows. So write down for each picture which group it belongs to, and keep each group in *one*
# part. At the end of this lesson you see what happens otherwise.

# %% [markdown]
# ## 3. Pixels
#
# A picture is a grid of numbers from 0 to 255: red, green and blue at each place. But each base was trained on numbers of
# its own kind, and every base in Keras has its own function `preprocess_input` for it. What do four of them make of one pixel?

# %%
for name in ("mobilenet_v2", "vgg16", "densenet", "efficientnet"):
    scaled = getattr(keras.applications, name).preprocess_input(np.array([[[[0, 128, 255]]]], "float32"))
    print(f"{name:14} makes of 0, 128, 255: {np.round(np.ravel(scaled), 2)}")

# %% [markdown]
# The first wants numbers from -1 to 1. The second wants blue first, and takes away a mean. The third divides by 255, takes
# away a mean, and divides again, by a spread. The last seems to do nothing, because it scales inside.
#
# Nobody can keep all this in mind. `build_model` puts the right scaling *into* the model: raw pixels go in, always. Both ways
# for the same pictures:

# %%
model = world.build(data)
base, scale = find_base_model(model), keras.applications.mobilenet_v2.preprocess_input
by_hand = base.predict(scale(tests.astype("float32")), verbose=0).mean(axis=(1, 2))
by_helper = tl.extract_features(model, data.test).values
print(f"base and preprocess_input, base inside the model: {np.abs(by_hand - by_helper).max():.5f} apart at most")

# %% [markdown]
# **Predict.** What happens if you divide by 255 all the same?
#
# <details><summary>Answer</summary>The model would see pictures that are nearly black. Here you get an error that says so;
# in plain Keras you get none.</details>

# %%
dark = data._replace(train=data.train.map(lambda images, labels: (images / 255, labels)))
try:
    tl.train_head(model, dark, epochs=1, verbose=0)
except ValueError as error:
    print(error)

# %% [markdown]
# ## 4. Augmentation
#
# ![One picture as it is, and three times turned in different ways.](pictures/augmentation.svg)
#
# A flower that is turned a little is the same flower. **Augmentation** makes such changes by chance, in training only: the
# network sees more kinds of pictures than there are. In Keras these are layers, and they stand before the scaling.
#
# Which changes are right depends on the task. A flower may be mirrored. A handwritten digit may not.
#
# **Predict.** Does augmentation also act when the model is tested?
#
# <details><summary>Answer</summary>No. `predict` and `evaluate` let the picture through as it is.</details>

# %%
layers = keras.layers
augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.05), layers.RandomZoom(0.1)])
image = keras.Input(tests.shape[1:])
front = keras.Model(image, scale(augment(image)))  # augment, then scale
some = tests[:8].astype("float32")
only_scaled = scale(some.copy())
for name, seen in (("predict", front.predict(some, verbose=0)), ("training=True", front(some, training=True))):
    print(f"{name:13} and only scaled: {np.abs(np.asarray(seen) - only_scaled).max():.3f} apart at most")
print("inside the helper's model:", [type(layer).__name__ for layer in model.get_layer("augmentation").layers])

# %% [markdown]
# `build_model` puts these three layers in, with these numbers. The helper below shows what they do. The first picture is as it
# is, the others are what the model sees in training. Could you still name each of them? Then the augmentation is not too
# strong.

# %%
figure = tl.plot_augmentation(model, tests[0])
for name, answer in (
    ("model.predict", lambda x: model.predict(x, verbose=0)),
    ("model(...)", lambda x: model(x).numpy()),
):
    one, two = answer(tests[:1]), answer(tests[:1])
    print(f"{name:13} asked twice: the answers differ by {np.abs(one - two).max():.3f}")

# %% [markdown]
# `predict` does not augment. But if you call the model like a function, it gets an augmented picture: unless you say
# otherwise, these layers act as in training. So write `model(x, training=False)`.
#
# ## Break it on purpose
#
# A leak by groups. We take 200 plants and make four photos of each: by augmentation, so no two are the same. Each plant gets
# a class by **chance**. Nothing true can be learned from such classes. An honest test must come out at guessing.

# %%
from sklearn.model_selection import GroupShuffleSplit
from sklearn.neighbors import KNeighborsClassifier

plants = pictures[:200].astype("float32")
augment = model.get_layer("augmentation")
photos = np.concatenate([np.asarray(augment(plants, training=True)) for _ in range(4)]).astype("uint8")
plant = np.tile(np.arange(len(plants)), 4)  # the group of each photo
by_chance = np.random.default_rng(0).integers(len(names), size=len(plants))[plant]
rows = tl.extract_features(model, make_dataset(photos, by_chance)).values

# %%
for name, groups in (("photos", np.arange(len(photos))), ("plants", plant)):
    learn, ask = next(GroupShuffleSplit(1, test_size=0.25, random_state=0).split(rows, by_chance, groups))
    nearest = KNeighborsClassifier(1).fit(rows[learn], by_chance[learn])
    print(f"{name} split by chance: test accuracy {nearest.score(rows[ask], by_chance[ask]):.3f}")
print(f"guessing: {1 / len(names):.3f}")

# %% [markdown]
# The first split takes each photo by itself. The nearest training photo is then often one of the same plant, and the classifier
# "knows" what nobody can know. With true classes the same leak looks like success. The **symptom** is a test accuracy that is too good. The **repair** is to
# split by group.
#
# ## Exercises
#
# **Exercise 1 ★** Load the test part again in plain Keras: 64 × 64 pixels, in batches of 16, not shuffled. Put the dataset
# into `small_test`.

# %% tags=["exercise"]
small_test = ...
# solution
small_test = read(folder / "test", image_size=(64, 64), batch_size=16, shuffle=False, verbose=False)
# wrong: read(folder / "test", image_size=(64, 64), batch_size=16, verbose=False)
# wrong: read(folder / "train", image_size=(64, 64), batch_size=16, shuffle=False, verbose=False)
# wrong: test
# wrong: 64

# %%
check(
    "Exercise 1",
    small_test,
    lambda d: (
        next(iter(d))[0].shape == (16, 64, 64, 3)
        and np.allclose(as_arrays(d)[0].mean(axis=(1, 2)), ours.mean(axis=(1, 2)), atol=3)
    ),  # the same colours, in order
    "Take the line for `test` in section 1. Two arguments have to change: the size and the batches.",
)

# %% [markdown]
# **Exercise 2 ★★** Choose ten training pictures of each class, none of them twice. Put their places in `kinds` into
# `ten_of_each`. (A place is a number: the first picture has place 0.)

# %% tags=["exercise"]
pictures, kinds = as_arrays(data.train)  # one reading: each class belongs to its picture
ten_of_each = ...
# solution
ten_of_each = np.concatenate([np.flatnonzero(kinds == kind)[:10] for kind in range(len(names))])
# wrong: np.arange(10 * len(names))
# wrong: np.tile([np.flatnonzero(kinds == kind)[0] for kind in range(len(names))], 10)
# wrong: np.ravel([np.append(np.flatnonzero(kinds == kind)[:9], np.flatnonzero(kinds == kind)[0] - len(kinds)) for kind in range(len(names))])
# wrong: kinds[:10]
# wrong: 50

# %%
check(
    "Exercise 2",
    ten_of_each,
    lambda rows: (
        len(set(np.array(rows) % len(kinds))) == len(rows)
        and np.bincount(kinds[list(rows)]).tolist() == [10] * len(names)
    ),
    "Count the classes of what you chose with `np.bincount`, and look for a place that comes twice.",
)

# %% [markdown]
# **Exercise 3 ★★★** Some near-doubles are mirrored, too. Write `find_near_doubles(images)`: it gets an array of pictures and
# gives the set of all pairs `(i, j)` with `i < j` of which one is nearly the other, as it is or mirrored. The check hides some
# in piles that you have not seen.

# %% tags=["exercise"]
find_near_doubles = ...


# solution
def find_near_doubles(images):
    rows, mirrored = thumbnails(images), thumbnails(images[:, :, ::-1])
    likeness = np.maximum(rows @ rows.T, rows @ mirrored.T)
    found = np.argwhere(np.triu(likeness > 0.99, 1))
    return {(int(i), int(j)) for i, j in found}


# wrong: lambda images: set()
# wrong: lambda images: {(i, j) for j in range(len(images)) for i in range(j)}
# wrong: lambda images: {(i, j) for j in range(len(images)) for i in range(j) if (images[i] == images[j]).all()}
# wrong: lambda images: set(map(tuple, np.argwhere(np.triu(thumbnails(images) @ thumbnails(images).T > 0.99, 1)).tolist()))
# wrong: lambda images: {(int((thumbnails(images)[:-2] @ thumbnails(images)[place]).argmax()), place) for place in (60, 61)}
# wrong: 61


# %%
def hide(seed):
    """A pile of pictures with two near-doubles, the second one mirrored; and their pairs."""
    chance = np.random.default_rng(seed)
    chosen = tests[chance.choice(len(tests), 60, replace=False)]
    first, second = map(int, chance.choice(60, 2, replace=False))
    changed = 0.96 * np.stack([chosen[first], chosen[second][:, ::-1]]) + chance.normal(0, 3, (2, *tests.shape[1:]))
    pile = np.concatenate([chosen, changed.clip(0, 255).astype("uint8")])
    order = chance.permutation(len(pile))
    place = np.argsort(order)  # where each picture went
    return pile[order], {tuple(sorted(map(int, place[list(pair)]))) for pair in ((first, 60), (second, 61))}


def finds_all(find):
    return all({tuple(map(int, pair)) for pair in find(pile)} == pairs for pile, pairs in map(hide, range(3)))


check("Exercise 3", find_near_doubles, finds_all, "Like another picture, or like the mirror image of another one.")

# %% [markdown]
# ## What you have seen
#
# - Three parts, made once from the list of files, without a common picture or group.
# - Raw pixels go in; the scaling belongs into the model, after the augmentation.
# - Look at augmented pictures before you use them.
#
# **Can you say it without looking?** Why does a leak make the number better? Which doubles can no program find? When does
# augmentation act?
#
# **Read on:** Keras's page on [loading images](https://keras.io/api/data_loading/image/), and Kapoor and Narayanan, [Leakage
# and the reproducibility crisis](https://doi.org/10.1016/j.patter.2023.100804) (2023): leaks in 17 fields of science.
