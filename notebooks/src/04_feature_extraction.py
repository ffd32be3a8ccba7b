# ---
# title: "Feature extraction: when is a simple classifier enough?"
# minutes: 30
# needs: lesson 3
# step: phase 1
# goals:
#   - use a network as a feature extractor, with logistic regression on top
#   - do the same inside one network, with a Dense head
#   - choose between the two
# ---

# %% [markdown]
# ## The idea
#
# ![Picture, locked base, row of features, small classifier; only the classifier learns.](pictures/feature-extraction.svg)
#
# The base turns a picture into a row of numbers, its **features**. From there on it no longer matters that it was a picture.
# Any classifier for rows of numbers will do, also a simple one that is older than deep learning.
#
# Texts call this *using the CNN as an arbitrary feature extractor*. The network is not trained at all.
#
# We compare on validation pictures in this lesson. The test pictures come once, at the end.

# %%
import keras
import numpy as np
import kerastl as tl
from kerastl.data import as_arrays, few_of_each, make_dataset

data = world.load()
model = world.build(data)

# %% [markdown]
# ## 1. From pictures to rows
#
# ![A picture goes into the base, and a row of numbers comes out.](pictures/features.svg)
#
# By hand first: scale, run the base, take the mean of each map.
#
# **Predict.** There are as many rows as pictures. How many columns?
#
# <details><summary>Answer</summary>As many as the base has maps at its top.</details>

# %%
from kerastl.graph import find_base_model

base = find_base_model(model)
images, labels = as_arrays(data.validation)
scaled = keras.applications.mobilenet_v2.preprocess_input(images.astype("float32"))
by_hand = base.predict(scaled, verbose=0).mean(axis=(1, 2))
print("pictures, features:", by_hand.shape)

# %% [markdown]
# The helper does it for a whole part, in one pass. It keeps each row together with its label.

# %%
train = tl.extract_features(model, data.train)
validation = tl.extract_features(model, data.validation)
print("pictures, features:", validation.values.shape)
print(f"by hand and helper: {np.abs(validation.values - by_hand).max():.5f} apart at most")

# %% [markdown]
# **Checkpoint.**

# %%
assert np.allclose(validation.values, by_hand, rtol=1e-3, atol=1e-3), "By hand and helper should agree."
assert np.array_equal(validation.labels, labels), "The labels should be in the same order."

# %% [markdown]
# ## 2. Logistic regression
#
# **Logistic regression** adds up the features, each one times a number of its own, to one score for each class. The highest
# score wins. So the border between two classes is flat. It has few settings, learns in a second, and gives the same result
# each time. `StandardScaler` first brings each feature to mean 0 and the same spread.
#
# **Predict.** Will it be nearer to guessing or to perfect?
#
# <details><summary>Answer</summary>Nearer to perfect. The base has done the hard part.</details>

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

simple = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(*train)
print(f"logistic regression: validation accuracy {simple.score(*validation):.3f}")

# %% [markdown]
# Its one setting, `C`, says how closely it follows the training rows. We choose it on the validation rows.

# %%
scores = {}
for strength in (0.0001, 0.001, 0.01, 0.1, 1.0):
    candidate = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)).fit(*train)
    scores[strength] = candidate.score(*validation)
    print(f"C = {strength:<7} validation accuracy {scores[strength]:.3f}")
chosen = max(scores, key=scores.get)
simple = make_pipeline(StandardScaler(), LogisticRegression(C=chosen, max_iter=2000)).fit(*train)

# %% [markdown]
# ## 3. A Dense head
#
# A **Dense** layer adds up features in the same way. **Softmax** turns its scores into probabilities, and training makes the
# loss *cross-entropy* small. This is logistic regression, too. Two things differ: many small steps instead of one solver, and
# nothing like `C` that keeps the parameters small. (Our head also has dropout in front, which lesson 5 explains.)
#
# It has one advantage: it is part of the network. The whole is one file, and phase 2 can go on from it.
#
# **Predict.** Will the two accuracies differ much?
#
# <details><summary>Answer</summary>No: it is the same kind of border. Look at the interval before you call a difference
# real.</details>

# %%
phase1 = tl.train_head(model, data, epochs=15, verbose=0)
head = tl.evaluate(model, data.validation)
print(f"logistic regression  {simple.score(*validation):.3f}")
print(f"Dense head           {head.accuracy:.3f}, 95 % interval {head.interval[0]:.3f} to {head.interval[1]:.3f}")

# %%
axes = tl.plot_history(phase1)

# %% [markdown]
# Both curves rise in the first epochs, and change little after that. The head needs only a few epochs, because the features are
# good. At the beginning, validation lies *above* training: the training accuracy is measured while the head still learns, and
# with dropout; the validation accuracy after the epoch, and without.

# %% [markdown]
# ## 4. When is the simple one enough?
#
# The fewer pictures, the less there is to learn from. So let us give only a few of each class.
#
# **Predict.** With five pictures of each class, how far will logistic regression get?
#
# <details><summary>Answer</summary>Further than most people think. See the table.</details>

# %%
for count in (1, 5, 20, 50):
    found = []
    for seed in range(5):
        rows = few_of_each(train.labels, count, seed)
        few = LogisticRegression(max_iter=2000).fit(train.values[rows], train.labels[rows])
        found.append(few.score(*validation))
    print(f"{count:3} of each class: {np.mean(found):.3f}, from {min(found):.3f} to {max(found):.3f}")

# %% [markdown]
# Five runs each, with other pictures each time. With one picture of each class it matters much *which* one it is: look at the
# lowest and the highest.
#
# And if the network itself may learn, in two phases, from 20 pictures of each class? We ask twice: for our flowers, which are
# *near* to what the base has learned, and for butterflies, which are *far* from it.


# %%
def gain(data, seed):
    """By how much two phases are better than logistic regression, with 20 training pictures of each class."""
    keras.utils.set_random_seed(seed)
    pictures, labels = as_arrays(data.train)
    rows = few_of_each(labels, 20, seed)
    few = data._replace(train=make_dataset(pictures[rows], labels[rows], shuffle=True))
    network = world.build(few)
    learn, ask = tl.extract_features(network, few.train), tl.extract_features(network, few.validation)
    regression = LogisticRegression(max_iter=2000).fit(*learn).score(*ask)
    tl.train_head(network, few, epochs=10, verbose=0)
    tl.unfreeze_top(network, 30)
    tl.fine_tune(network, few, epochs=5, views=0, verbose=0)
    return tl.evaluate(network, few.validation).accuracy - regression, regression


# %%
tasks = {"near": data, "far": tl.load_images("drawn_butterflies", image_size=world.image_size)}
for name, task in tasks.items():
    better, regression = gain(task, seed=0)
    print(f"{name:4}  logistic regression {regression:.3f}; two phases {better:+.3f}")

# %% [markdown]
# A minus means that logistic regression was better in this run. One run each, so a small difference says nothing. If the gain is small, the simple way is enough *for so few pictures*:
# it takes a second. This does not say what more pictures would bring. Lesson 7 asks that, with five seeds.
#
# ## Break it on purpose
#
# Somebody reads the training part twice: once for the features, once for the labels. But it is **shuffled** anew each time
# that it is read.

# %%
extractor = keras.Model(model.input, model.get_layer("pool").output)
rows = extractor.predict(data.train, verbose=0)
_, kinds = as_arrays(data.train)
mixed = LogisticRegression(max_iter=2000).fit(rows, kinds)
clean = LogisticRegression(max_iter=2000).fit(*train)
print(f"read twice: on training rows {mixed.score(rows, kinds):.3f}, on validation rows {mixed.score(*validation):.3f}")
print(f"read once:  on training rows {clean.score(*train):.3f}, on validation rows {clean.score(*validation):.3f}")

# %% [markdown]
# Each row has got the label of another picture. There is no error. On the training rows it looks good, since the classifier
# learned many of them by heart. The **symptom**: the validation accuracy is near guessing. The **repair**: read features and
# labels in one pass, as `extract_features` does.
#
# ## Exercises
#
# **Exercise 1 ★** Which validation pictures does `simple` get wrong? Put their places (numbers, the first picture has 0) into
# `wrong`.

# %% tags=["exercise"]
wrong = ...
# solution
wrong = np.flatnonzero(simple.predict(validation.values) != validation.labels)
# wrong: len(wrong)
# wrong: np.flatnonzero(simple.predict(validation.values) == validation.labels)
# wrong: simple.predict(validation.values) != validation.labels
# wrong: []
# wrong: 3

# %%
sure = simple.predict_proba(validation.values)[np.arange(len(labels)), labels]  # of the true class
check(
    "Exercise 1",
    wrong,
    lambda n: set(n) == set(np.where(sure < simple.predict_proba(validation.values).max(axis=1))[0]),
    "Numbers of pictures: not how many, and not True and False.",
)

# %% [markdown]
# **Exercise 2 ★★** Use another classifier: the nearest neighbours of scikit-learn (`KNeighborsClassifier`). Put the object,
# fitted on the training rows, into `neighbours`.

# %% tags=["exercise"]
neighbours = ...
# solution
from sklearn.neighbors import KNeighborsClassifier

neighbours = KNeighborsClassifier(5).fit(*train)
# wrong: neighbours.score(*validation)
# wrong: simple
# wrong: KNeighborsClassifier(5).fit(*validation)
# wrong: KNeighborsClassifier(5).fit(*tl.extract_features(model, data.test))
# wrong: KNeighborsClassifier(5)
# wrong: __import__("sklearn").neighbors.KNeighborsRegressor(5).fit(*train)
# wrong: 0.95

# %%
check(
    "Exercise 2",
    neighbours,
    lambda c: (
        c.kneighbors(train.values, 1)[0].max() < 0.01  # each training row is there
        and c.predict_proba(validation.values[:1]).size > 1
        and c.score(*validation) > 1.2 / len(data.class_names)
    ),
    "The object itself, and it has to know the training rows.",
)

# %% [markdown]
# **Exercise 3 ★★★** With few pictures, a validation part of its own is a luxury. **Cross-validation** does without. It cuts the
# rows into parts. Each part is asked once, by a classifier that learned from all *other* parts. Write `cross_validate(values,
# labels, parts)` with a loop of your own: it returns the share of all rows that got the right answer. Mix the rows first, and
# use `LogisticRegression(max_iter=2000)`. The check has rows and labels of its own.

# %% tags=["exercise"]
cross_validate = ...


# solution
def cross_validate(values, labels, parts):
    order, right = np.random.default_rng(0).permutation(len(labels)), 0
    for asked in np.array_split(order, parts):
        others = np.setdiff1d(order, asked)
        classifier = LogisticRegression(max_iter=2000).fit(values[others], labels[others])
        right += (classifier.predict(values[asked]) == labels[asked]).sum()
    return right / len(labels)


# wrong: lambda values, labels, parts: LogisticRegression(max_iter=2000).fit(values, labels).score(values, labels)
# wrong: lambda values, labels, parts: simple.score(values, labels)
# wrong: lambda values, labels, parts: cross_val_score(LogisticRegression(max_iter=2000), values[::2], labels[::2]).mean()
# wrong: lambda values, labels, parts: LogisticRegression(max_iter=2000).fit(values[::2], labels[::2]).score(values, labels)
# wrong: 0.97

# %%
from sklearn.model_selection import LeaveOneOut, cross_val_score

rows = by_hand[::8]
others = (labels[::8] + 1) % len(data.class_names)  # each class under the number of another
by_chance = np.random.default_rng(1).integers(len(data.class_names), size=len(rows))
rule = LogisticRegression(max_iter=2000)
expected = [cross_val_score(rule, rows, y, cv=LeaveOneOut()).mean() for y in (others, by_chance)]
check(
    "Exercise 3",
    cross_validate,
    lambda f: np.allclose([f(rows, others, len(rows)), f(rows, by_chance, len(rows))], expected),
    "No row may be asked by a classifier that has learned from it, and each row has to be asked once.",
)

# %% [markdown]
# ### The test, once
#
# We have chosen: logistic regression with this `C`. Now the test pictures may speak.

# %%
test = tl.extract_features(model, data.test)
print(f"logistic regression, C = {chosen}: validation {simple.score(*validation):.3f}, test {simple.score(*test):.3f}")

# %% [markdown]
# ## What you have seen
#
# - A frozen network and a simple classifier: no training of the network, and a strong result where the task is near.
# - A Dense head is the same idea inside the network, and the door to phase 2.
# - Try the simple way first. It tells you how much is left to win.
#
# **Can you say it without looking?** What is in a row? Why is a Dense head like logistic regression? When would you not
# train a network at all?
#
# **Read on:** Razavian and others, [CNN Features off-the-shelf](https://arxiv.org/abs/1403.6382) (2014). Kornblith and
# others, [Do Better ImageNet Models Transfer Better?](https://arxiv.org/abs/1805.08974) (2019).
