# ---
# title: "Where is it wrong, and does it know?"
# minutes: 35
# needs: lesson 6
# step: test
# goals:
#   - read a confusion matrix, precision and recall
#   - look at the surest mistakes, and at heat maps
#   - say whether the probabilities of a network can be trusted
# ---

# %% [markdown]
# ## The idea
#
# One number says how often a network is right. It does not say *where* it is wrong, or *why*, or whether it knows when it
# is unsure. For a use in real life these matter more.
#
# To have mistakes to look at, we take the **far** task: drawn butterflies of eight kinds. The base has seen drawn flowers of
# many kinds, and no butterfly. And some of the eight look alike: the viceroy has one dark band more than the monarch.

# %%
import numpy as np
import kerastl as tl
from kerastl.data import as_arrays, few_of_each, make_dataset

data = tl.load_images("drawn_butterflies", image_size=world.image_size)
names = data.class_names
figure = tl.plot_images(data, count=16)

# %%
model = world.build(data)
history = tl.train_head(model, data, epochs=15, verbose=0)

# %% [markdown]
# ## 1. One pass
#
# All figures must come from the *same* pass over the pictures. Many programs predict in one pass and collect the labels in
# another. If the data set shuffles itself, the two do not belong together, and the table is nonsense.
#
# **Predict.** The interval below: will it be wider with more test pictures, or narrower?
#
# <details><summary>Answer</summary>Narrower. With four times as many it is about half as wide.</details>

# %%
result = tl.evaluate(model, data.test)
print(result)

# %% [markdown]
# ## 2. Which classes?
#
# **Recall**: of the pictures of a class, how many were found? **Precision**: of the pictures that were taken for it, how
# many truly are? **F1** is a mean of both (the harmonic one), nearer to the lower.
#
# **Predict.** A network says *monarch* to every picture. What is its recall for monarchs?
#
# <details><summary>Answer</summary>1: it finds them all. But its precision is as bad as guessing. You need both.</details>

# %%
print(result.table(names))

# %%
axes = tl.plot_confusion(result, names)

# %% [markdown]
# Each row is a true class, each column what the network said. Off the diagonal are the mistakes. Two classes that are
# mistaken for each other look alike to the network; perhaps to you, too. Which pair is mistaken most often?

# %%
both_ways = np.triu(result.confusion + result.confusion.T, 1)
one, other = np.unravel_index(both_ways.argmax(), both_ways.shape)
print(f"{names[one]} and {names[other]}: mistaken for each other {both_ways.max()} times")

# %% [markdown]
# **Checkpoint.** The table and the accuracy come from the same pass, so they must agree.

# %%
assert np.isclose(result.confusion.trace() / result.confusion.sum(), result.accuracy), "Evaluate again."

# %% [markdown]
# ## 3. The surest mistakes
#
# The most useful pictures are those where the network was very sure, and wrong. Look at them, one by one. In real folders
# the label is often wrong, or there are two things in the picture. Here no label is wrong: what do you see instead?

# %%
figure = tl.plot_mistakes(result, data, count=5)

# %% [markdown]
# Above each picture: what it is, and what the network said, with its probability.

# %% [markdown]
# ## 4. Where did it look?
#
# A **heat map** (Grad-CAM) shows which places of the picture speak for a class.
#
# **Predict.** For a picture that it gets right: will the heat be on the butterfly, or on the background?
#
# <details><summary>Answer</summary>Look at each map. It is coarse, so some heat lies beside the wings. Heat *only* on the background
# could mean that the network has learned something else than butterflies.</details>

# %%
import matplotlib.pyplot as plt
from kerastl.data import pick_images

right = np.flatnonzero(result.predictions == result.labels)[:: max(len(result.labels) // 5, 1)][:4]
figure, grid = plt.subplots(1, len(right), figsize=(8, 2.3), layout="constrained")
for axes, (image, label) in zip(grid, pick_images(data.test, right)):
    tl.plot_heat(tl.grad_cam(model, image, names[label], class_names=names), ax=axes)

# %% [markdown]
# Yellow places speak for the class in the title; the number is its probability. Such a map shows where the network looked, not why. It does not prove
# that the network is right.

# %% [markdown]
# ## 5. Does it know when it is unsure?
#
# Take all pictures for which the network says about *four fifths*. If four of five of them are right, and so on for each other
# probability, it is **calibrated**: what it says is how often it is right. The **calibration error** is
# the mean distance between the two, weighted by the pictures. A network can be **too sure** (over-confident), or **not sure
# enough**. We look at this lesson's network, and at one whose head had few pictures, for very long.
#
# **Predict.** Which of the two is too sure?
#
# <details><summary>Answer</summary>The second. It gets surer and surer of its few pictures, and then it is sure elsewhere, too,
# also where it is wrong.</details>

# %%
rows = few_of_each(as_arrays(data.train)[1], 10)
few = data._replace(train=make_dataset(*(array[rows] for array in as_arrays(data.train)), shuffle=True))
sure_model = world.build(few)
history = tl.train_head(sure_model, few, epochs=100, learning_rate=0.03, verbose=0)
sure_result = tl.evaluate(sure_model, data.test)

# %%
for name, one in (("all pictures", result), ("few pictures, very long", sure_result)):
    says, right = one.probabilities.max(axis=1).mean(), one.accuracy
    print(f"{name:24} says {says:.3f}, is right {right:.3f}, calibration error {one.calibration_error:.3f}")

# %% [markdown]
# In the pictures below a dashed line means calibrated. A point under the line: too sure. A point over it: not sure enough.
#
# A network that is wrongly sure can be repaired without training. **Temperature scaling** divides what enters the softmax by
# one number, the temperature T. Above 1 it makes all probabilities flatter, below 1 sharper. T is found on *validation*
# pictures. The order of the classes stays, so the accuracy stays, too.
#
# **Predict.** Which of the two networks needs a T above 1?
#
# <details><summary>Answer</summary>The one that is too sure: its probabilities have to become flatter.</details>

# %%
import matplotlib.pyplot as plt

figure, grid = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for axes, name, network in zip(grid, ("all pictures", "few pictures, very long"), (model, sure_model)):
    before = tl.evaluate(network, data.test)
    temperature = tl.fit_temperature(tl.evaluate(network, data.validation))
    after = before.at_temperature(temperature)
    tl.plot_calibration(before, after, ax=axes)
    axes.set_title(f"{name}: T = {temperature:.2f}", fontsize=9, pad=36)
    print(f"{name:24} T {temperature:.2f}, error {before.calibration_error:.3f} -> {after.calibration_error:.3f}")

# %% [markdown]
# **Checkpoint.** A temperature changes how sure the network is, and no answer.

# %%
assert (before.predictions == after.predictions).all(), "A temperature must not change which class comes first."

# %% [markdown]
# Such probabilities are useful: a person can look at the pictures of which the network is not sure.

# %% [markdown]
# ## Break it on purpose
#
# Here are predictions and labels from *two* passes over a data set that shuffles itself.

# %%
said = np.concatenate([model.predict_on_batch(images.numpy().astype("float32")).argmax(1) for images, _ in data.train])
_, true = as_arrays(data.train)
print(f"two passes: {np.mean(said == true):.3f}, one pass: {tl.evaluate(model, data.train).accuracy:.3f}")

# %% [markdown]
# With two passes the accuracy is that of guessing. **Symptom**: the confusion matrix disagrees with `model.evaluate`.
# **Repair**: one pass, as `tl.evaluate` does.
#
# ## Exercises
#
# **Exercise 1 ★** Which class has the lowest recall? Put its name into `hardest`.

# %% tags=["exercise"]
hardest = ...
# solution
hardest = names[int(np.argmin([score.recall for score in result.class_scores]))]
# wrong: names[int(np.argmax([score.recall for score in result.class_scores]))]
# wrong: min(score.recall for score in result.class_scores)
# wrong: int(np.argmin([score.recall for score in result.class_scores]))
# wrong: 0.5

# %%
lowest = min(score.recall for score in result.class_scores)
check("Exercise 1", hardest, lambda n: result.class_scores[names.index(n)].recall == lowest, "Look at the table.")

# %% [markdown]
# **Exercise 2 ★★** The network is least sure where its highest probability is lowest. A person answers for these pictures, and is
# always right. `share` says for how many: 0.25 is a quarter of all pictures. The network answers for the others. Write
# `together(result, share)`: the accuracy over all pictures, the person's and the network's.

# %% tags=["exercise"]
together = ...


# solution
def together(result, share):
    order = np.argsort(result.probabilities.max(axis=1))
    looked_at = round(share * len(order))
    right = result.predictions == result.labels
    return (looked_at + right[order[looked_at:]].sum()) / len(order)


# wrong: 0.9
# wrong: lambda result, share: result.accuracy
# wrong: lambda result, share: share + (1 - share) * result.accuracy
# wrong: lambda result, share: 1.0
# wrong: lambda one, share: share + np.sort((one.predictions == one.labels))[: round((1 - share) * len(one.labels))].mean() * (1 - share)

# %%
wrong = np.arange(len(result.labels)) % 3 == 0  # another network, which is less often right, in another order
worse = result._replace(
    labels=np.where(wrong, (result.predictions + 1) % len(names), result.labels)[::-1],
    probabilities=result.probabilities[::-1],
)


def agrees(f, one, share):
    hits = (one.predictions == one.labels)[np.argsort(-one.probabilities.max(axis=1))]
    return abs(f(one, share) - share - hits[: round((1 - share) * len(hits))].sum() / len(hits)) < 0.003


check(
    "Exercise 2",
    together,
    lambda f: all(agrees(f, one, share) for one in (result, worse) for share in (0.25, 0.5, 0.9)),
    "Sort by the highest probability.",
)

# %% [markdown]
# **Exercise 3 ★★★** Does the network need the hot places? Write `fall(image, label)`. It makes the heat map of the class
# `names[label]`. It paints the hottest quarter of all pixels in the mean colour of the picture. It gives by how much the
# probability of that class falls.

# %% tags=["exercise"]
fall = ...


# solution
def fall(image, label):
    heat = tl.grad_cam(model, image, names[label], class_names=names).heat
    painted = image.astype("float32")
    painted[heat >= np.quantile(heat, 0.75)] = painted.mean(axis=(0, 1))
    before, after = model.predict_on_batch(np.stack([image.astype("float32"), painted]))[:, label]
    return before - after


# wrong: 0.3
# wrong: lambda image, label: 0.3
# wrong: lambda image, label: model.predict_on_batch(image[None].astype("float32"))[0, label]
# wrong: lambda image, label: fall_without(image, label, ~hot(image, label))


# %%
def fall_without(image, label, places):
    painted = image.astype("float32")
    painted[places] = painted.mean(axis=(0, 1))
    before, after = model.predict_on_batch(np.stack([image.astype("float32"), painted]))[:, label]
    return before - after


def hot(image, label):
    return (heat := tl.grad_cam(model, image, names[label], class_names=names).heat) >= np.quantile(heat, 0.75)


asked = pick_images(data.test, [3, 200, 500])
check(
    "Exercise 3",
    fall,
    lambda f: all(abs(f(*one) - fall_without(*one, hot(*one))) < 1e-3 for one in asked),
    "The heat map has one number for each pixel.",
)

# %% [markdown]
# ## What you have seen
#
# - One pass for all figures.
# - Recall and precision for each class; then the pictures themselves.
# - A probability is only worth something if it is calibrated.
#
# **Can you say it without looking?** What is precision? What does a point below the dashed line mean? What does a heat map
# *not* show?
#
# **Read on:** Guo and others, [On Calibration of Modern Neural Networks](https://arxiv.org/abs/1706.04599) (2017);
# Adebayo and others, [Sanity Checks for Saliency Maps](https://arxiv.org/abs/1810.03292) (2018).
