# ---
# title: "When transfer hurts: positive, neutral or negative?"
# minutes: 45
# needs: lessons 4, 7 and 8
# step: test
# goals:
#   - tell positive, neutral and negative transfer apart by repeated runs
#   - say what decides, from how alike the tasks are to how much of the base is frozen
#   - compute scores that look before any training, and say what they cannot know
# ---

# %% [markdown]
# ## The idea
#
# A pre-trained start can help, can hurt, or can make no difference. The words are **positive**, **negative** and **neutral**
# transfer. All three are comparisons with a random start. So whoever has no runs from scratch cannot use these words.
#
# This lesson takes one case of each, measured with five seeds. Then it asks what decides, and what one could have known before.
# It stays in the drawn world, and takes scikit-learn's real handwritten digits beside it.

# %%
import json

import keras
import numpy as np
import kerastl as tl
from kerastl.bases import bundled_folder
from kerastl.data import as_arrays, few_of_each
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

measured = json.loads((bundled_folder() / "measured.json").read_text())

# %% [markdown]
# ## 1. Three cases
#
# `data/make/measure.py` trained them, with 100 pictures of each class and the better of two or three rates, and kept the validation
# accuracy after each epoch. In the first case the task is the drawn flowers, near to what the base knows. In the other two it is
# the digits: once the base is frozen, once all of it learns.
#
# *Base open* means: ten epochs with the head alone, then the whole base learns, too. So the start is that of a frozen base in both
# digit cases.
#
# **Predict.** For each case: positive, neutral or negative?
#
# <details><summary>Answer</summary>Flowers: positive. Digits with a frozen base: negative. Digits with an open base: neutral, no
# difference at the end is shown.</details>

# %%
cases = {
    "flowers, base frozen": ("curve of from scratch, 100", "curve of head only, 100"),
    "digits, base frozen": ("curve of harmful, 100, from scratch", "curve of harmful, 100, head only"),
    "digits, base open": ("curve of harmful, 100, from scratch", "curve of harmful, 100, all"),
}


def curves(case):
    scratch, transferred = cases[case]
    return {"from scratch": list(measured[scratch].values()), "pre-trained": list(measured[transferred].values())}


for case in cases:
    compared = tl.explain_transfer(curves(case))
    labels = compared.axes.set(title=case, ylabel="validation accuracy")
    print(f"--- {case}\n{compared}")

# %% [markdown]
# The band reaches from the lowest to the highest run; the dot is the start, the short line the asymptote. Look at start and asymptote
# apart. Both digit cases begin higher than from scratch. With the base open they end alike, with the base frozen far below. So "does
# it help?" has another answer after one epoch than after twenty.
#
# **Checkpoint.**

# %%
ends = {case: [np.mean([run[-4:] for run in runs]) for runs in curves(case).values()] for case in cases}
assert ends["digits, base frozen"][1] < ends["digits, base frozen"][0], "The frozen base ends below from scratch."

# %% [markdown]
# ## 2. What decides?
#
# Test accuracies from the same file, of other runs (20 epochs with 100 pictures of each class, 50 with 20): two sizes, and the base
# frozen or open. *Gain* is the mean over five seeds, beside from scratch in the same seed, with its interval.
#
# **Predict.** For the butterflies with 100 pictures of each class: does the *frozen* base help?
#
# <details><summary>Answer</summary>No: it is below from scratch. With the base open the mean is above, but its interval reaches
# zero. So it depends on what you freeze.</details>


# %%
def gains(task, count, way):
    pairs = [measured[f"{task}, {count}, {name}"] for name in (way, "from scratch")]
    return np.array([pairs[0][seed] - pairs[1][seed] for seed in sorted(pairs[0])])


def with_interval(values):
    return f"{values.mean():+.3f} ± {2.776 * values.std(ddof=1) / 5**0.5:.3f}"  # 2.776: Student's t for five runs


# %%
print("task         pictures      base frozen        base open")
for task, name in (("near", "flowers"), ("far", "butterflies"), ("harmful", "digits")):
    for count in (20, 100):
        frozen, opened = gains(task, count, "head only"), gains(task, count, "all")
        print(f"{name:12} {count:8} {with_interval(frozen):>16} {with_interval(opened):>16}")

# %% [markdown]
# Three things decide:
#
# - **how alike the tasks are**: from flowers to flowers it helps most;
# - **how much data you have**: where transfer helps, the gain falls with more pictures;
# - **what is frozen**: a frozen base can only use what it knows. With an open one no harm is shown here.

# %% [markdown]
# ## 3. Take away what the base knows
#
# Here is a cheap test: a logistic regression on the frozen features (lesson 4), once of the bundled base, once of random parameters.
# If the random ones win, the base does not fit the task.
#
# **Predict.** We take the colour out of the flowers. How far does the bundled base fall?
#
# <details><summary>Answer</summary>Look at its two lines of flowers: a part of what it knows is about colour. It stays far above
# random parameters, which are near guessing both times.</details>

# %%
flowers = tl.load_images("drawn_flowers", image_size=96)
pictures, labels = as_arrays(flowers.train)
rows = few_of_each(labels, 40, seed=0)
grey = np.repeat(pictures.mean(axis=-1, keepdims=True), 3, axis=-1)

# %% [markdown]
# The digits have 8 × 8 pixels. We make each pixel twelve times as large.

# %%
small, numbers = load_digits(return_X_y=True)
first = few_of_each(numbers, 40, seed=0)
digits = np.repeat(np.repeat(small.reshape(-1, 8, 8, 1) * 255 / 16, 12, axis=1), 12, axis=2).repeat(3, axis=3)
tasks = {
    "flowers": (pictures[rows], labels[rows]),
    "grey flowers": (grey[rows], labels[rows]),
    "digits": (digits[first], numbers[first]),
}

# %%
regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
print("cross-validated accuracy   bundled base   random parameters")
for name, (images, truth) in tasks.items():
    found = []
    for weights in ("garden", None):
        keras.utils.set_random_seed(0)
        model = tl.build_model("MobileNetV2", flowers, weights=weights, alpha=0.35, augment=False)
        pooled = keras.Model(model.input, model.get_layer("pool").output)
        features = pooled.predict(images.astype("float32"), batch_size=128, verbose=0)
        found.append(cross_val_score(regression, features, truth, cv=5).mean())
    print(f"{name:26} {found[0]:12.3f} {found[1]:19.3f}")

# %% [markdown]
# On the digits random parameters win. Perhaps they keep what is bright and what is dark, and the base has learned to ignore much of
# it. This test takes seconds, and it has a zero point: random parameters. (It is one run.)
#
# ## 4. Scores before training

# %% [markdown]
# **LEEP** (Nguyen and others, 2020) uses the *old* classifier. Ask it about the new pictures: it answers with probabilities of the 64 old
# species. If all roses look like species 12 to it, and all tulips like species 40, the new classes can be told apart by the old
# answers. LEEP is the mean logarithm of the probability that such a rule gives to the right class. Higher is better; 0 is the
# most.

# %%
image = keras.Input((96, 96, 3))
model = tl.build_model("MobileNetV2", flowers, weights="garden", alpha=0.35, augment=False)
stored = np.load(bundled_folder() / "garden" / "species_classifier.npz")
old_head = keras.layers.Dense(64, activation="softmax")
old = keras.Model(model.input, old_head(model.get_layer("pool").output))
old_head.set_weights([stored["kernel"], stored["bias"]])

# %% [markdown]
# Now LEEP itself.

# %%
images, truth = tasks["flowers"]
said = old.predict(images.astype("float32"), batch_size=128, verbose=0)
together = np.stack([said[truth == label].sum(axis=0) for label in range(5)]) / len(said)
rule = together / together.sum(axis=0)  # the probability of each new class, given the old answer
right = (said @ rule.T)[np.arange(len(said)), truth]
print(f"LEEP of the flowers: {np.log(right).mean():.3f}")

# %% [markdown]
# **LogME** (You and others, 2021) needs no old classifier: it asks how well linear models fit the features. The **probe** is the
# cross-validated accuracy of section 3. `benchmarks/strategies` computed all three with 20 pictures of each class, five seeds.
#
# **Predict.** Which of the three scores knows that the digits are worse for a frozen base than the butterflies?
#
# <details><summary>Answer</summary>Here only LEEP. The other two say that digits are about as easy as butterflies, or easier. That
# is true of the features, but from scratch finds digits easier still.</details>

# %%
kept = json.loads((bundled_folder() / "strategies.json").read_text())
print("task             LEEP    LogME    probe   gain, base frozen   gain, base open")
for task, name, said in (("near", "near", "flowers"), ("far", "far", "butterflies"), ("unlike", "harmful", "digits")):
    runs = kept[f"scores, {task}"].values()
    scores = [np.mean([run[score] for run in runs]) for score in ("leep", "logme", "probe")]
    frozen, opened = gains(name, 20, "head only").mean(), gains(name, 20, "all").mean()
    print(f"{said:11} {scores[0]:9.3f} {scores[1]:8.3f} {scores[2]:8.3f} {frozen:+19.3f} {opened:+17.3f}")

# %% [markdown]
# LEEP puts the three tasks in the order of both last columns. But it has no zero point: from its number nobody can read that a
# frozen base loses on the digits, and that an open one gains nothing. It also falls with the number of classes. And three tasks have only
# six orders, so chance alone is right once in six. A score is a first look. Then train, also from scratch.
#
# ## Break it on purpose
#
# Somebody wants to show that the base helps with digits. No number is wrong: they only stop early.

# %%
case = curves("digits, base frozen")
for epochs in (1, 2, 4, 8, 20):
    scratch, transferred = (np.mean([run[epochs - 1] for run in runs]) for runs in case.values())
    print(f"after {epochs:2} epochs: pre-trained {transferred:.3f}, from scratch {scratch:.3f}")

# %% [markdown]
# **Symptom**: a comparison at one number of epochs, and a small one. **Cause**: a baseline that had no time. Guessing in all five runs, for
# several epochs, would also fit stale BatchNorm (lesson 8); `train_from_scratch` sets a momentum against that, but which of the two
# it is was not measured. **Repair**: show the whole curves, and give the baseline the rate and the epochs that it needs.
#
# ## Exercises
#
# **Exercise 1 ★** The butterflies with 20 pictures of each class, the base *frozen*: in how many of the five seeds did transfer
# help? Put the number into `helped`. (Is it shown, then?)

# %% tags=["exercise"]
helped = ...
# solution
helped = int((gains("far", 20, "head only") > 0).sum())
# wrong: int((gains("far", 20, "all") > 0).sum())
# wrong: gains("far", 20, "head only").mean()
# wrong: 0

# %%
check(
    "Exercise 1",
    helped,
    lambda count: count == sum(gain > 0 for gain in gains("far", 20, "head only")),
    "`gains(task, count, way)` gives one number for each seed. How many are above 0?",
)

# %% [markdown]
# **Exercise 2 ★★** Write `verdict(gains)` for a list of five gains, one for each seed. The half-width of the interval of
# the mean is 2.776 · s / √5, where s is the standard deviation with `ddof=1`. It gives `"positive"` if the whole interval is above
# 0, `"negative"` if it is below 0, else `"no difference shown"`.

# %% tags=["exercise"]
verdict = ...


# solution
def verdict(gains):
    middle, half = np.mean(gains), 2.776 * np.std(gains, ddof=1) / len(gains) ** 0.5
    if middle - half > 0:
        return "positive"
    return "negative" if middle + half < 0 else "no difference shown"


# wrong: lambda gains: "positive" if np.mean(gains) > 0 else "negative"
# wrong: lambda gains: "positive" if min(gains) > 0 else "negative" if max(gains) < 0 else "no difference shown"
# wrong: lambda gains: "no difference shown"
# wrong: 2.776
# wrong: lambda g: "positive" if (m := np.mean(g)) > (h := 2.776 * np.std(g)) else "negative" if m < -h else "none"

# %%
known = {
    (0.011, 0.012, 0.009, 0.012, 0.011): "positive",
    (-0.011, -0.012, -0.009, -0.012, -0.011): "negative",
    (-0.02, 0.09, 0.10, 0.11, 0.10): "positive",
    (-0.02, 0.06, 0.08, 0.11, 0.05): "no difference shown",
    (0.02, -0.06, -0.08, -0.11, -0.05): "no difference shown",
    (0.4, -0.05, 0.35, 0.02, 0.08): "no difference shown",
}
check(
    "Exercise 2",
    verdict,
    lambda f: all(f(list(values)) == word for values, word in known.items()),
    "First the mean, then the half-width. The interval goes from mean minus half to mean plus half.",
)

# %% [markdown]
# **Exercise 3 ★★★** Write `leep(said, labels)` for the old classifier's probabilities (pictures, old classes) and the new labels
# (pictures,), counted from 0. Section 4 does it for the flowers. Yours has to work for any number of classes.

# %% tags=["exercise"]
leep = ...


# solution
def leep(said, labels):
    new = np.eye(labels.max() + 1)[labels]
    together = new.T @ said / len(said)
    rule = together / together.sum(axis=0)
    return float(np.log((said @ rule.T)[np.arange(len(said)), labels]).mean())


# wrong: lambda said, labels: float(np.log(right).mean())
# wrong: -1.5
# wrong: lambda said, labels: float(np.log(said.max(axis=1)).mean())
# wrong: lambda said, labels: -float(np.log(len(np.unique(labels))))
# wrong: lambda s, y: float((s @ ((t := np.eye(y.max() + 1)[y].T @ s) / t.sum(0)).T)[np.arange(len(s)), y].mean())

# %%
chance, sizes = np.random.default_rng(1), (np.full(3, 30), np.arange(2, 14))  # classes of equal and of unequal size
sets = [(chance.dirichlet(np.ones(6), 90), np.repeat(np.arange(len(each)), each)) for each in sizes]


def by_hand(asked, labels):
    joint = np.zeros((labels.max() + 1, asked.shape[1]))
    for row, label in zip(asked, labels, strict=True):
        joint[label] += row
    rule = joint / joint.sum(axis=0)
    return np.mean([np.log(row @ rule[new]) for row, new in zip(asked, labels, strict=True)])


check(
    "Exercise 3",
    leep,
    lambda f: all(np.isclose(f(*one), by_hand(*one), atol=1e-6) for one in sets),
    "Sum the old answers of each new class first; then divide by the sums over the classes.",
)

# %% [markdown]
# ## What you have seen
#
# - Positive, negative and neutral are words for a comparison with a random start, and need several runs.
# - The same base helped with flowers and hurt with digits while frozen. Once it was open, no difference was shown there.
# - A score before training is a first look. It has no zero point, so it cannot tell help from harm.
#
# **Can you say it without looking?** What do you need before you may say "negative transfer"? Why can a frozen base hurt where an
# open one does not? How can an honest table still make a weak baseline?

# %% [markdown]
# **Read on:** Nguyen and others, [LEEP](https://arxiv.org/abs/2002.12462) (2020). You and others,
# [LogME](https://arxiv.org/abs/2102.11005) (2021). Wang and others,
# [Characterizing and Avoiding Negative Transfer](https://arxiv.org/abs/1811.09751) (2019): a definition, and a way to hold back what
# does not fit. All numbers, with intervals: docs/which_strategy.md in the project.
