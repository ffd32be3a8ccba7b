# ---
# title: "What does a pre-trained base already know?"
# minutes: 30
# needs: lesson 0
# step: build
# goals:
#   - look into a base, layer by layer
#   - find the pictures that are alike for a base
#   - measure what it knows before it learns anything about your classes
# ---

# %% [markdown]
# ## The idea
#
# ![A network of blue blocks stays; the old classifier on its top is taken out.](pictures/base.svg)
#
# A base has never seen your classes. And yet it is a good start. So it must know something that helps. What?
#
# We look at it in three ways: what its layers answer to, which pictures are alike for it, and how well a very simple rule
# works on its answers. Nothing is trained in this lesson, and the test pictures stay closed.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import kerastl as tl
from kerastl.data import as_arrays, make_dataset
from kerastl.graph import find_base_model
from sklearn.linear_model import LinearRegression

data = world.load()
model = world.build(data)
base = find_base_model(model)

# %% [markdown]
# ## 1. The layers
#
# A base is a chain of blocks. Each block makes **maps**: grids of numbers, one number for each place of the picture. Near the
# picture the maps are large and few. Near the top they are small and many. On the way the base forgets *where* a thing is, and
# gets to know *what* it is.
#
# **Predict.** The picture has three numbers at each place. How many does the last block have at each place: about ten, a
# hundred, or a thousand?
#
# <details><summary>Answer</summary>More than a thousand. The last column of the table shows height, width, and
# number.</details>

# %%
table = tl.list_blocks(model)
print(table)

# %% [markdown]
# **Checkpoint.**

# %%
first, last = table.blocks[1].output_shape, table.blocks[-2].output_shape
assert first[0] > last[0] and first[2] < last[2], "The maps should get smaller, and more."

# %% [markdown]
# ## 2. What do they answer to?
#
# Now we look at the maps of four blocks, from low to high. A light field is a high number, a dark field a low one. Of each
# block we take the five maps that change most from place to place.
#
# **Predict.** In which row can you no longer see that it is a flower?
#
# <details><summary>Answer</summary>Different people give different answers. In the first row nearly everybody sees it, in the
# last row nearly nobody.</details>

# %%
images, labels = as_arrays(data.validation)
scaled = keras.applications.mobilenet_v2.preprocess_input(images.astype("float32"))
places = ["expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add"]
reader = keras.Model(base.inputs[0], [base.get_layer(name).output for name in places])
answers = reader.predict(scaled, verbose=0)

# %%
figure, grid = plt.subplots(4, 6, figsize=(8, 5.6), layout="constrained")
for row, answer, name in zip(grid, answers, places):
    row[0].imshow(images[0])
    for axes, number in zip(row[1:], np.argsort(-answer[0].std(axis=(0, 1)))):
        axes.imshow(answer[0, :, :, number], cmap="gray")
    for axes in row:
        axes.set_axis_off()
    row[1].set_title(f"{name}, {answer.shape[1]}×{answer.shape[2]}", fontsize=9, loc="left")

# %% [markdown]
# The picture cannot say what a map answers to. So we measure one thing: how much of a map can be told from the *colours* at
# the same place and in the fields beside it? We fit a linear rule on every second picture, and ask it about the
# others. 1 means that the map is a filter of colours, such as edges. 0 means that such a rule can tell nothing.

# %%
for name, answer in zip(places, answers):
    height, width, maps = answer.shape[1:]
    small = np.asarray(keras.ops.image.resize(images / 255.0, (height, width), antialias=True))
    padded = np.pad(small, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    nine = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    colours = np.concatenate(nine, axis=-1)
    learn, ask = slice(0, None, 2), slice(1, None, 2)  # every second picture
    rule = LinearRegression().fit(colours[learn].reshape(-1, 27), answer[learn].reshape(-1, maps))
    told = rule.score(colours[ask].reshape(-1, 27), answer[ask].reshape(-1, maps))
    print(f"{name:25} {maps:3} maps, told by colours: {told:.2f}")

# %% [markdown]
# The share falls from row to row. Low maps are for a good part filters of colours: edges, spots, areas of one colour. High maps
# answer to something that such a rule tells less and less of. What it is has no name; the next two sections show what it is good for.

# %% [markdown]
# ## 3. Which pictures are alike?
#
# The mean of each map at the top gives one row of numbers for a picture, its **features**. Two pictures are alike for the base
# if their rows point in the same direction. So we can ask for the nearest neighbour of each picture.
#
# **Predict.** We take a validation picture, and look for the training picture nearest to it. Suppose that the base knew
# nothing: how often would the two be of the same class?
#
# <details><summary>Answer</summary>As often as a guess is right: 1 divided by the number of classes.</details>


# %%
def directions(dataset):
    values, labels = tl.extract_features(model, dataset)
    return values / np.linalg.norm(values, axis=1, keepdims=True), labels


pictures, kinds = as_arrays(data.train)
known = directions(make_dataset(pictures, kinds))[0]
asked = directions(data.validation)[0]

# %% [markdown]
# Now, for each validation picture: which training picture is nearest, and is it of the same class?

# %%
nearest = (asked @ known.T).argmax(axis=1)
alike = (kinds[nearest] == labels).mean()
print(f"nearest neighbour of the same class: {alike:.3f}, guessing: {1 / len(data.class_names):.3f}")

# %%
chosen = np.linspace(0, len(labels) - 1, 3).astype(int)
figure, grid = plt.subplots(3, 6, figsize=(6.6, 3.5), layout="constrained")
grid[0, 0].set_title("validation", fontsize=9)
grid[0, 1].set_title("nearest in training →", fontsize=9)
for row, number in zip(grid, chosen):
    order = np.argsort(-(asked[number] @ known.T))[:5]
    for axes, shown in zip(row, [images[number], *pictures[order]]):
        axes.imshow(shown)
        axes.set_axis_off()

# %% [markdown]
# The left column shows validation pictures, and right of each the five training pictures that are most like it for the base.
# Are they of the same kind for you, too? No class name was used for this. The base was not trained on these classes at all.

# %% [markdown]
# ## 4. How far does a very simple rule get?
#
# Here is one rule without any training: for each class, take the mean of its features. A new picture belongs to the class whose
# mean is nearest. Texts say that a pre-trained network *performs at some level without training*. This rule shows the level.
#
# **Predict.** And if the base had random parameters? And for classes that are *far* from all that it has learned?
#
# <details><summary>Answer</summary>With random parameters, near guessing. So it is not the form of the network that knows
# something. For far classes, lower. The table tells how much.</details>


# %%
def nearest_mean(model, data):
    values, kinds = tl.extract_features(model, data.train)
    asked, labels = tl.extract_features(model, data.validation)
    means = np.stack([values[kinds == number].mean(axis=0) for number in range(len(data.class_names))])
    distances = np.linalg.norm(asked[:, None] - means[None], axis=2)
    return (distances.argmin(axis=1) == labels).mean()


# %%
far_data = tl.load_images("drawn_butterflies", image_size=world.image_size)
pretrained = nearest_mean(model, data)
untrained = nearest_mean(tl.build_model("MobileNetV2", data, weights=None, alpha=world.alpha), data)
far = nearest_mean(world.build(far_data), far_data)
print(f"pre-trained base:         {pretrained:.3f}, guessing {1 / len(data.class_names):.3f}")
print(f"random parameters:        {untrained:.3f}, guessing {1 / len(data.class_names):.3f}")
print(f"pre-trained, butterflies: {far:.3f}, guessing {1 / len(far_data.class_names):.3f}")

# %% [markdown]
# Flowers are near to what this base has learned, butterflies are far. Here are the features of the flowers as points on a
# plane.

# %%
axes = tl.plot_features(model, data, part="validation")

# %% [markdown]
# Each point is a validation picture, each colour a class. A class that forms an island can be told apart by a simple rule. Some
# classes overlap here, and still the rule above tells most of them apart: the plane keeps only two of more than a thousand
# directions. The axes say how much of all differences each direction keeps.

# %% [markdown]
# ## Break it on purpose
#
# The base knows its own scaling only. Somebody divides the pixels by 255, and *then* scales them as usual. This is a common
# mistake. We measure the same rule on validation pictures, with both kinds of pixels.


# %%
def accuracy_with(change):
    pool = keras.Sequential([base, keras.layers.GlobalAveragePooling2D()])
    scale = keras.applications.mobilenet_v2.preprocess_input
    values, asked = (pool.predict(scale(change(part.astype("float32"))), verbose=0) for part in (pictures, images))
    means = np.stack([values[kinds == number].mean(axis=0) for number in range(len(data.class_names))])
    return (np.linalg.norm(asked[:, None] - means[None], axis=2).argmin(axis=1) == labels).mean()


print(f"scaled as the base wants it: {accuracy_with(lambda pixels: pixels):.3f}")
print(f"divided by 255 before:       {accuracy_with(lambda pixels: pixels / 255):.3f}")

# %% [markdown]
# No error, no warning, only a worse number. The **repair** is to leave the scaling to the model.
#
# ## Exercises
#
# **Exercise 1 ★** Make a `keras.Model` that gives the maps of the layer `block_9_add` for scaled pictures, as `reader` does
# for four others. Put the model into `maps_of_9`.

# %% tags=["exercise"]
maps_of_9 = ...
# solution
maps_of_9 = keras.Model(base.inputs[0], base.get_layer("block_9_add").output)
# wrong: reader
# wrong: keras.Model(base.inputs[0], base.get_layer("block_8_add").output)
# wrong: keras.Model(base.inputs[0], base.output)
# wrong: keras.Model(base.inputs[0], base.get_layer("block_9_add").output).predict(scaled[:2], verbose=0)
# wrong: 24

# %%
above = keras.Model(base.get_layer("block_9_add").output, base.output)  # from there to the top
whole = base(scaled[:2])
check(
    "Exercise 1",
    maps_of_9,
    lambda reads: np.allclose(above(reads(scaled[:2])), whole, atol=1e-3),
    "`keras.Model` wants where it begins, and the output of one layer.",
)

# %% [markdown]
# **Exercise 2 ★★** Ask three neighbours instead of one. For which validation pictures are at least two of the three nearest
# training pictures of the right class? Put an array of True and False, one for each validation picture, into `two_of_three`.

# %% tags=["exercise"]
two_of_three = ...
# solution
near = np.argsort(-(asked @ known.T), axis=1)[:, :3]
two_of_three = (kinds[near] == labels[:, None]).sum(axis=1) >= 2
# wrong: kinds[nearest] == labels
# wrong: (kinds[near] == labels[:, None]).all(axis=1)
# wrong: two_of_three.mean()
# wrong: np.ones(len(labels), bool)
# wrong: 0.96

# %%
from sklearn.neighbors import NearestNeighbors

three = kinds[NearestNeighbors(n_neighbors=3, metric="cosine").fit(known).kneighbors(asked, return_distance=False)]


def is_right(answer):
    expected = np.median(three == labels[:, None], axis=1) == 1
    return len(answer) == len(expected) and np.mean(answer == expected) > 0.99


check("Exercise 2", two_of_three, is_right, "Sort, and take three.")

# %% [markdown]
# **Exercise 3 ★★★** In which block does the knowledge begin? Write `accuracy_at(name)`: the accuracy of the nearest mean on
# validation pictures, with the means of the maps of the layer `name` as features. Try it on several layers, from low to high.
# The check tries it on two of its own.

# %% tags=["exercise"]
accuracy_at = ...


# solution
def accuracy_at(name):
    layer = base.get_layer(name).output
    means_of_maps = keras.Model(base.inputs[0], keras.layers.GlobalAveragePooling2D()(layer))
    scale = keras.applications.mobilenet_v2.preprocess_input
    values = means_of_maps.predict(scale(pictures.astype("float32")), verbose=0)
    asked = means_of_maps.predict(scaled, verbose=0)
    centres = np.stack([values[kinds == number].mean(axis=0) for number in range(len(data.class_names))])
    nearest = np.linalg.norm(asked[:, None] - centres, axis=2).argmin(axis=1)
    return (nearest == labels).mean()


# wrong: lambda name: pretrained
# wrong: lambda name: nearest_mean(model, data)
# wrong: lambda name: 0.5
# wrong: lambda name: 1 / len(data.class_names)
# wrong: 0.63

# %%
from sklearn.neighbors import NearestCentroid

tried = ["block_3_project_BN", "block_14_add"]
two = keras.Model(base.inputs[0], [keras.layers.GlobalAveragePooling2D()(base.get_layer(n).output) for n in tried])
learned, measured = (
    two.predict(x, verbose=0)
    for x in (keras.applications.mobilenet_v2.preprocess_input(pictures.astype("float32")), scaled)
)
scores = [NearestCentroid().fit(a, kinds).score(b, labels) for a, b in zip(learned, measured)]
check("Exercise 3", accuracy_at, lambda f: np.allclose([f(n) for n in tried], scores, atol=0.011), "Scale, read, mean.")

# %% [markdown]
# ## What you have seen
#
# - From bottom to top, maps become smaller and more: from *where* to *what*.
# - Pictures that we find alike are often alike for the base, too, without any training on them.
# - So there is a level of accuracy before training. Here it was higher for the near task than for the far one.

# %%
print(f"nearest neighbour         {alike:.3f}")
print(f"nearest mean              {pretrained:.3f}")
print(f"the same, random base     {untrained:.3f}")
print(f"the same, butterflies     {far:.3f}")

# %% [markdown]
# **Can you say it without looking?** What is a feature? What does a map show? Why is a random base no help?
#
# **Read on:** Zeiler and Fergus, [Visualizing and Understanding Convolutional Networks](https://arxiv.org/abs/1311.2901)
# (2014). Yosinski and others, [How transferable are features in deep neural networks?](https://arxiv.org/abs/1411.1792)
# (2014): low layers are general, high layers belong to their task.
