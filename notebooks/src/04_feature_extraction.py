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
# The base turns a picture into a row of numbers, its **features**. From there on it is no longer a question of pictures.
# Any classifier for rows of numbers will do, also a simple one that is older than deep learning.
#
# Texts call this *using the CNN as an arbitrary feature extractor*. The network is not trained at all.

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
# By hand first: scale, run the base, take the mean of each map.
#
# **Predict.** There are as many rows as training pictures. How many columns?
#
# <details><summary>Answer</summary>As many as the base has maps at its top.</details>

# %%
from kerastl.graph import find_base_model

base = find_base_model(model)
images, labels = next(iter(data.test))
scaled = keras.applications.mobilenet_v2.preprocess_input(keras.ops.cast(images, "float32"))
by_hand = base(scaled, training=False).numpy().mean(axis=(1, 2))
print("pictures, features:", by_hand.shape)

# %% [markdown]
# The helper does it for a whole part, in one pass.

# %%
train = tl.extract_features(model, data.train)
validation = tl.extract_features(model, data.validation)
test = tl.extract_features(model, data.test)
print("pictures, features:", train.values.shape)

# %% [markdown]
# **Checkpoint.**

# %%
assert np.allclose(test.values[: len(by_hand)], by_hand, rtol=1e-3, atol=1e-3), "By hand and helper should agree."

# %% [markdown]
# ## 2. Logistic regression
#
# **Logistic regression** draws one flat border between classes. It has few settings, learns in a second, and gives the
# same result each time.
#
# **Predict.** Will it be nearer to guessing or to perfect?
#
# <details><summary>Answer</summary>Nearer to perfect. The base has done the hard part.</details>

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

simple = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(*train)
print(f"logistic regression: test accuracy {simple.score(*test):.3f}")

# %% [markdown]
# Its one setting, `C`, says how closely it follows the training rows. We choose it on the validation rows.

# %%
scores = {}
for strength in (0.0001, 0.001, 0.01, 0.1, 1.0):
    candidate = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)).fit(*train)
    scores[strength] = candidate.score(*validation)
    print(f"C = {strength:<7} validation accuracy {scores[strength]:.3f}")

# %%
chosen = max(scores, key=scores.get)
simple = make_pipeline(StandardScaler(), LogisticRegression(C=chosen, max_iter=2000)).fit(*train)
print(f"C = {chosen}: test accuracy {simple.score(*test):.3f}")

# %% [markdown]
# ## 3. A Dense head
#
# A **Dense** layer with softmax, trained with cross-entropy, *is* logistic regression. Only the way to the weights
# differs: many small steps instead of one solver.
#
# It has one advantage: it is part of the network. The whole is one file, and phase 2 can go on from it.
#
# **Predict.** Will the two accuracies differ much?
#
# <details><summary>Answer</summary>No: it is the same kind of border. Look at the interval before you call a difference
# real.</details>

# %%
phase1 = tl.train_head(model, data, epochs=15, verbose=0)
head = tl.evaluate(model, data.test)
print(f"logistic regression  {simple.score(*test):.3f}")
print(f"Dense head           {head.accuracy:.3f}, 95 % interval {head.interval[0]:.3f} to {head.interval[1]:.3f}")

# %%
axes = tl.plot_history(phase1)

# %% [markdown]
# Both curves rise at once and stay. The head needs only a few epochs, because the features are good.

# %% [markdown]
# ## 4. When is the simple one enough?
#
# The fewer pictures, the less a network can learn from them. So let us give only a few of each class.
#
# **Predict.** With five pictures of each class, how far will logistic regression get?
#
# <details><summary>Answer</summary>Further than most people think. See the table.</details>

# %%
for count in (1, 5, 20, 50):
    found = []
    for seed in range(5):
        rows = few_of_each(train.labels, count, seed)
        found.append(LogisticRegression(max_iter=2000).fit(train.values[rows], train.labels[rows]).score(*test))
    print(f"{count:3} pictures of each class: {np.mean(found):.3f}, from {min(found):.3f} to {max(found):.3f}")

# %% [markdown]
# Five runs each, with other pictures each time. With few pictures it matters much *which* ones you have: look at the
# lowest and the highest.
#
# And if the network itself may learn, in two phases, from the same 20 pictures of each class?


# %%
def two_phases(rows, seed):
    keras.utils.set_random_seed(seed)
    few_pictures = data._replace(train=make_dataset(pictures[rows], labels[rows], shuffle=True))
    network = world.build(data)
    tl.train_head(network, few_pictures, epochs=10, verbose=0)
    tl.unfreeze_top(network, 30)
    tl.fine_tune(network, few_pictures, epochs=10, verbose=0)
    return tl.evaluate(network, data.test).accuracy


pictures, labels = as_arrays(data.train)

# %%
kept = tl.extract_features(model, make_dataset(pictures, labels))  # in the order of `pictures`
gains = []
for seed in range(5):
    rows = few_of_each(labels, 20, seed)
    regression = LogisticRegression(max_iter=2000).fit(kept.values[rows], labels[rows]).score(*test)
    network = two_phases(rows, seed)
    gains.append(network - regression)
    print(f"run {seed}: logistic regression {regression:.3f}, two phases {network:.3f}")
print(f"two phases gain {np.mean(gains):+.3f} in the mean, from {min(gains):+.3f} to {max(gains):+.3f}")

# %% [markdown]
# If all gains have the same sign, it is hardly chance. Five other choices of pictures can still say something else: try other
# seeds. The simple way takes a second. Ask whether the gain is worth the rest.

# %% [markdown]
# ## Break it on purpose
#
# Somebody reads the training part twice: once for the features, once for the labels. But it is **shuffled** anew each time
# that it is read.

# %%
extractor = keras.Model(model.input, model.get_layer("pool").output)
rows = extractor.predict(data.train, verbose=0)
_, kinds = as_arrays(data.train)
mixed = LogisticRegression(max_iter=2000).fit(rows, kinds)
print(
    f"read twice: accuracy on the training rows {mixed.score(rows, kinds):.3f}, test accuracy {mixed.score(*test):.3f}"
)

# %%
clean = LogisticRegression(max_iter=2000).fit(*train)
print(f"read once:  accuracy on the training rows {clean.score(*train):.3f}, test accuracy {clean.score(*test):.3f}")

# %% [markdown]
# Each row has got the label of another picture. There is no error; on the training rows it may even look good, since it
# learned them by heart. The **symptom**: the test accuracy is near guessing. The **repair**: read features and labels in
# one pass, as `extract_features` does.

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** How many test pictures does `simple` get wrong?

# %% tags=["exercise"]
wrong = ...
# solution
wrong = int((simple.predict(test.values) != test.labels).sum())

# %%
check("Exercise 1", wrong, lambda n: n == round((1 - simple.score(*test)) * len(test.labels)), "`simple.predict`.")

# %% [markdown]
# **Exercise 2 ★★** Use another classifier: the nearest neighbours of scikit-learn (`KNeighborsClassifier`). Put the fitted
# object into `neighbours`.

# %% tags=["exercise"]
neighbours = ...
# solution
from sklearn.neighbors import KNeighborsClassifier

neighbours = KNeighborsClassifier(5).fit(*train)

# %%
check("Exercise 2", neighbours, lambda c: c.score(*test) > 2 / len(data.class_names), "It has `fit` and `score`, too.")

# %% [markdown]
# **Exercise 3 ★★★** Are all features needed? Keep only the 50 that vary most over the training pictures, fit logistic
# regression on them, and put its test accuracy into `fifty`.

# %% tags=["exercise"]
fifty = ...
# solution
best = np.argsort(-train.values.std(axis=0))[:50]
fifty = (
    LogisticRegression(max_iter=2000).fit(train.values[:, best], train.labels).score(test.values[:, best], test.labels)
)

# %%
check("Exercise 3", fifty, lambda share: 1 / len(data.class_names) < share <= 1, "Choose columns: `values[:, best]`.")

# %% [markdown]
# ## What you have seen
#
# - A frozen network and a simple classifier: no training of the network, and a strong result.
# - A Dense head is the same idea inside the network, and the door to phase 2.
# - Try the simple way first. It tells you how much is left to win.
#
# **Can you say it without looking?** What is in a row? Why is a Dense head like logistic regression? When would you not
# train a network at all?
#
# **Read on:** Razavian and others, [CNN Features off-the-shelf](https://arxiv.org/abs/1403.6382) (2014).
