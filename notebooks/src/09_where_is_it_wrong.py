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
# To have mistakes to look at, we train on few pictures here.

# %%
import numpy as np
import kerastl as tl
from kerastl.data import as_arrays, few_of_each, make_dataset

data = world.load()
names = data.class_names
pictures, labels = as_arrays(data.train)

# %%
rows = few_of_each(labels, 15)
few = data._replace(train=make_dataset(pictures[rows], labels[rows], shuffle=True))
model = world.build(few)
history = tl.train_head(model, few, epochs=15, verbose=0)

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
# many truly are? **F1** is a mean of both.
#
# **Predict.** A network says *tulip* to every picture. What is its recall for tulips?
#
# <details><summary>Answer</summary>1: it finds them all. But its precision is as bad as guessing. You need both.</details>

# %%
print(result.table(names))

# %%
axes = tl.plot_confusion(result, names)

# %% [markdown]
# Each row is a true class, each column what the network said. Off the diagonal are the mistakes. Two classes that are
# mistaken for each other look alike to the network; perhaps to you, too.

# %% [markdown]
# **Checkpoint.** The table and the accuracy come from the same pass, so they must agree.

# %%
assert np.isclose(result.confusion.trace() / result.confusion.sum(), result.accuracy), "Evaluate again."

# %% [markdown]
# ## 3. The surest mistakes
#
# The most useful pictures are those where the network was very sure, and wrong. Look at them, one by one. Often the label
# is wrong, or there are two things in the picture, or the background belongs to another class.

# %%
figure = tl.plot_mistakes(result, data, count=5)

# %% [markdown]
# Above each picture: what the network said, with its probability, and what it is.

# %% [markdown]
# ## 4. Where did it look?
#
# A **heat map** (Grad-CAM) shows which places of the picture speak for a class.
#
# **Predict.** For a picture that it gets right: will the heat be on the flower, or on the background?
#
# <details><summary>Answer</summary>Mostly on the flower. If it were on the background, the network would have learned the
# wrong thing, although it is right.</details>

# %%
import matplotlib.pyplot as plt
from kerastl.data import pick_images

right = np.flatnonzero(result.predictions == result.labels)[:: max(len(result.labels) // 5, 1)][:4]
figure, grid = plt.subplots(1, len(right), figsize=(8, 2.3), layout="constrained")
for axes, (image, label) in zip(grid, pick_images(data.test, right)):
    tl.plot_heat(tl.grad_cam(model, image, names[label], class_names=names), ax=axes)

# %% [markdown]
# What is bright speaks for the class in the title. Such a map shows where the network looked, not why. It does not prove
# that the network is right.

# %% [markdown]
# ## 5. Does it know when it is unsure?
#
# The network gives a probability. Take a hundred pictures for which it says *four fifths*. Eighty of them should be right.
# Then it is **calibrated**.
#
# **Predict.** Is a network that was trained on few pictures too sure, or not sure enough?
#
# <details><summary>Answer</summary>It can be either. Long training on few pictures makes it too sure. Look at the points: below
# the line is too sure.</details>

# %%
axes = tl.plot_calibration(result)

# %%
sure = result.probabilities.max(axis=1) > 0.9
right = result.predictions == result.labels
print(
    f"sure of {sure.mean():.0%} of the pictures; right there {right[sure].mean():.3f}, elsewhere {right[~sure].mean():.3f}"
)

# %% [markdown]
# This is useful: a person can look at the pictures of which the network is not sure.

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

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** Which class has the lowest recall? Put its name into `hardest`.

# %% tags=["exercise"]
hardest = ...
# solution
hardest = names[int(np.argmin([score.recall for score in result.class_scores]))]

# %%
lowest = min(score.recall for score in result.class_scores)
check("Exercise 1", hardest, lambda n: result.class_scores[names.index(n)].recall == lowest, "Look at the table.")

# %% [markdown]
# **Exercise 2 ★★** If a person looks at the half of the test pictures of which the network is least sure, and makes no
# mistake: what is the accuracy of both together?

# %% tags=["exercise"]
together = ...
# solution
order = np.argsort(result.probabilities.max(axis=1))
half = order[len(order) // 2 :]
together = (len(order) // 2 + (result.predictions == result.labels)[half].sum()) / len(order)

# %%
check("Exercise 2", together, lambda a: result.accuracy <= a <= 1, "Sort by the highest probability; add up.")

# %% [markdown]
# **Exercise 3 ★★★** Put the heat map of the surest mistake, for its *true* class, into `heat`.

# %% tags=["exercise"]
heat = ...
# solution
image, label = pick_images(data.test, result.mistakes[:1])[0]
heat = tl.grad_cam(model, image, names[label], class_names=names)

# %%
worst = result.labels[result.mistakes[0]]
check("Exercise 3", heat, lambda h: h.class_name == names[worst], "`result.mistakes[0]` is its number.")

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
