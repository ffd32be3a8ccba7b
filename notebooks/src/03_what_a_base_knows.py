# ---
# title: "What does a pre-trained base already know?"
# minutes: 30
# needs: lesson 0
# step: build
# goals:
#   - look into a base, layer by layer
#   - find the pictures that a base holds to be alike
#   - measure what it knows before it learns anything about your classes
# ---

# %% [markdown]
# ## The idea
#
# A base has never seen your classes. And yet it is a good start. So it must know something that helps. What?
#
# We look at it in three ways: what its layers answer to, which pictures it finds alike, and how well a very simple rule
# works on its answers. Nothing is trained in this lesson.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import kerastl as tl
from kerastl.data import as_arrays, make_dataset, pick_images
from kerastl.graph import find_base_model

data = world.load()
model = world.build(data)
base = find_base_model(model)

# %% [markdown]
# ## 1. The layers
#
# A base is a chain of blocks. Near the picture the maps are large and few. Near the top they are small and many. On the
# way, *where* is given up for *what*.
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
# Each map of a block shows where in the picture one certain thing is: bright means there. At the bottom these are edges
# and colours. Higher up they are textures and parts, and hard to name.

# %%
image = next(iter(data.test))[0][:1]
scaled = keras.applications.mobilenet_v2.preprocess_input(keras.ops.cast(image, "float32"))
places = ["expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add"]
reader = keras.Model(base.inputs[0], [base.get_layer(name).output for name in places])
answers = [answer.numpy()[0] for answer in reader(scaled)]

# %%
figure, grid = plt.subplots(4, 6, figsize=(8, 5.6), layout="constrained")
for row, answer, name in zip(grid, answers, places):
    row[0].imshow(image[0].numpy().astype("uint8"))
    for axes, number in zip(row[1:], np.argsort(-answer.std(axis=(0, 1)))):
        axes.imshow(answer[:, :, number], cmap="gray")
    for axes in row:
        axes.set_axis_off()
    row[1].set_title(f"{name}, {answer.shape[0]}×{answer.shape[1]}", fontsize=9, loc="left")

# %% [markdown]
# Each row shows the picture and the five liveliest maps of one block, from low to high. In the first row you still
# recognise the picture. In the last row only a few places are bright.

# %% [markdown]
# ## 3. Which pictures are alike?
#
# The top of the base gives one row of numbers for a picture, its **features**. Two pictures are alike for the base if
# their rows point in the same direction. So for each picture we can ask for its nearest neighbour.
#
# **Predict.** We take a test picture and look for the training pictures nearest to it. How often is the very nearest one
# of the same class, if the base knew nothing?
#
# <details><summary>Answer</summary>As often as guessing would be right: one time in as many as there are classes.</details>


# %%
def directions(dataset):
    values, labels = tl.extract_features(model, dataset)
    return values / np.linalg.norm(values, axis=1, keepdims=True), labels


pictures, kinds = as_arrays(data.train)
known = directions(make_dataset(pictures, kinds))[0]
asked, labels = directions(data.test)

# %% [markdown]
# Now, for each test picture: which training picture is nearest, and is it of the same class?

# %%
nearest = (asked @ known.T).argmax(axis=1)
alike = (kinds[nearest] == labels).mean()
print(f"nearest neighbour of the same class: {alike:.3f}, guessing: {1 / len(data.class_names):.3f}")

# %%
chosen = np.linspace(0, len(labels) - 1, 3).astype(int)
figure, grid = plt.subplots(3, 6, figsize=(6.6, 3.5), layout="constrained")
grid[0, 0].set_title("test picture", fontsize=9)
grid[0, 1].set_title("nearest in training →", fontsize=9)
for row, number in zip(grid, chosen):
    order = np.argsort(-(asked[number] @ known.T))[:5]
    own = pick_images(data.test, [number])[0][0]
    for axes, shown in zip(row, [own, *pictures[order]]):
        axes.imshow(shown)
        axes.set_axis_off()

# %% [markdown]
# The left column shows test pictures, and right of each the five training pictures that the base finds most like it. No
# label was used for this. The base was not trained on these classes at all.

# %% [markdown]
# ## 4. How far does a very simple rule get?
#
# One rule without any training: for each class, take the mean of its features. A new picture belongs to the class whose
# mean is nearest.
#
# This is meant when texts say that a pre-trained network *performs at some level without training*.
#
# **Predict.** And if the base had random weights?
#
# <details><summary>Answer</summary>Far below, near guessing. So it is not the form of the network that knows something. It
# is its weights.</details>


# %%
def nearest_mean(model):
    values, kinds = tl.extract_features(model, data.train)
    asked, labels = tl.extract_features(model, data.test)
    means = np.stack([values[kinds == number].mean(axis=0) for number in range(len(data.class_names))])
    distances = np.linalg.norm(asked[:, None] - means[None], axis=2)
    return (distances.argmin(axis=1) == labels).mean()


# %%
pretrained = nearest_mean(model)
untrained = nearest_mean(tl.build_model("MobileNetV2", data, weights=None, alpha=world.alpha))
print(f"pre-trained base: {pretrained:.3f}")
print(f"random weights:   {untrained:.3f}")

# %% [markdown]
# And here are the features as a map.

# %%
axes = tl.plot_features(model, data)

# %% [markdown]
# Each point is a test picture, each colour a class. What forms an island can be told apart by a simple rule. The map keeps
# only two of more than a thousand directions, so the truth is better than the map.

# %% [markdown]
# ## Break it on purpose
#
# The base knows its own scaling only. Let us ask it for features of pictures that were divided by 255 and *then* scaled
# as usual, which is a common mistake.


# %%
def accuracy_with(change):
    reader = keras.Sequential([base, keras.layers.GlobalAveragePooling2D()])
    scale = keras.applications.mobilenet_v2.preprocess_input
    values = reader.predict(scale(change(pictures.astype("float32"))), verbose=0)
    means = np.stack([values[kinds == number].mean(axis=0) for number in range(len(data.class_names))])
    return (np.linalg.norm(values[:, None] - means[None], axis=2).argmin(axis=1) == kinds).mean()


print(f"scaled as the base wants it: {accuracy_with(lambda pixels: pixels):.3f}")
print(f"divided by 255 before:       {accuracy_with(lambda pixels: pixels / 255):.3f}")

# %% [markdown]
# No error, no warning, only a worse number. The **repair** is to leave the scaling to the model.

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** How many layers does the base have?

# %% tags=["exercise"]
layers = ...
# solution
layers = len(base.layers)

# %%
check("Exercise 1", layers, lambda n: n == len(base.layers), "`base.layers` is a list.")

# %% [markdown]
# **Exercise 2 ★★** For how many test pictures are at least two of the three nearest training pictures of the same class?
# Put the share into `two_of_three`.

# %% tags=["exercise"]
two_of_three = ...
# solution
near = np.argsort(-(asked @ known.T), axis=1)[:, :3]
two_of_three = ((kinds[near] == labels[:, None]).sum(axis=1) >= 2).mean()

# %%
best = np.argsort(-(asked @ known.T), axis=1)[:, :3]
right = ((kinds[best] == labels[:, None]).sum(axis=1) >= 2).mean()
check("Exercise 2", two_of_three, lambda share: abs(share - right) < 1e-6, "`np.argsort` gives the order.")

# %% [markdown]
# **Exercise 3 ★★★** Draw the map with another projection, such as scikit-learn's `TSNE`. Put the axes that
# `tl.plot_features(model, data, projection=...)` returns into `drawn`.

# %% tags=["exercise"]
drawn = ...
# solution
from sklearn.manifold import TSNE

drawn = tl.plot_features(model, data, projection=TSNE(random_state=0))

# %%
check(
    "Exercise 3", drawn, lambda a: len(a.collections) == len(data.class_names), "Import `TSNE` from sklearn.manifold."
)

# %% [markdown]
# ## What you have seen
#
# - From bottom to top, maps become smaller and more: from *where* to *what*.
# - Pictures that we find alike are often alike for the base, too, without any training on them.
# - So there is a level of accuracy before training. It is the start from which transfer learning begins.

# %%
print(f"nearest neighbour      {alike:.3f}")
print(f"nearest mean           {pretrained:.3f}")
print(f"the same, random base  {untrained:.3f}")

# %% [markdown]
# **Can you say it without looking?** What is a feature? What does a map show? Why is a base with random weights no help?
#
# **Read on:** Zeiler and Fergus, [Visualizing and Understanding Convolutional Networks](https://arxiv.org/abs/1311.2901)
# (2014).
