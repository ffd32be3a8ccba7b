# ---
# title: "From scratch or transferred: what does the start give?"
# minutes: 45
# needs: lessons 5 and 6
# step: test
# goals:
#   - compare learning curves of repeated runs by start, slope and asymptote
#   - say how much data transfer saves, and on which task it helps, harms, or makes no difference
#   - choose a strategy from the size of your data and the distance of your task
# ---

# %% [markdown]
# ## The idea
#
# A pre-trained start can help in three places. The **start**: better at once. The **slope**: faster progress. The
# **asymptote**: better at the end. Torrey and Shavlik drew it so in 2009.
#
# But one run proves nothing. Another seed gives another number. So a comparison is repeated with several seeds, and we look
# at the spread.

# %%
import keras
import numpy as np
import kerastl as tl
from kerastl.data import as_arrays, few_of_each, make_dataset
from kerastl.graph import find_base_model, is_batch_norm

data = tl.load_images(world.pictures, image_size=world.image_size * 2 // 3)  # smaller, to save time
pictures, labels = as_arrays(data.train)


def some(count, seed):
    """The same task with a few training pictures of each class, others for each seed."""
    rows = few_of_each(labels, count, seed)
    return data._replace(train=make_dataset(pictures[rows], labels[rows], shuffle=True))


# %% [markdown]
# ## 1. One run of each
#
# Both ways get the same 20 pictures of each class, the same network, and the same number of epochs. From
# scratch sees them a little changed in each epoch (augmentation), head only as they are. From scratch means: the
# parameters are random, and all of them learn.
#
# A fair comparison needs one more thing. BatchNorm keeps moving means, and Keras's momentum for MobileNetV2 is made for very
# long trainings. In a short one the means would stay near their start (lesson 8). So we set a lower one.

# %%
few = some(20, seed=0)
network = tl.build_model("MobileNetV2", few, weights=None, alpha=world.alpha)
find_base_model(network).trainable = True
for layer in filter(is_batch_norm, find_base_model(network).layers):
    layer.momentum = 0.75
network.compile(keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
network.optimizer.build(network.trainable_variables)  # saves time: otherwise Keras prepares the step twice

# %% [markdown]
# **Predict.** Guessing is right for one of five. After how many epochs will the network from scratch be clearly better?
#
# <details><summary>Answer</summary>Look at the column *from scratch* for the first number that is far above 0.2. It takes long: at
# first, 100 pictures teach a random network nearly nothing about new pictures.</details>

# %%
EPOCHS, EVERY = 80, 20
slow = network.fit(few.train, validation_data=few.validation, validation_freq=EVERY, epochs=EPOCHS, verbose=0).history[
    "val_accuracy"
]
model = world.build(few)
fast = tl.train_head(model, few, epochs=EPOCHS, views=0, verbose=0).history["val_accuracy"]
print("epoch   from scratch   head only")
for place, accuracy in enumerate(slow):
    epoch = (place + 1) * EVERY
    print(f"{epoch:5} {accuracy:14.3f} {fast[epoch - 1]:11.3f}")

# %% [markdown]
# `tl.train_from_scratch` does the same as the cells above. It also finds the momentum that fits the number of steps, and lets
# the rate fall.
#
# **Checkpoint.**

# %%
assert len(slow) == EPOCHS // EVERY and len(fast) == EPOCHS, "Both ways get the same number of epochs."

# %% [markdown]
# ## 2. Start, slope, asymptote
#
# Whole curves need more time than a lesson has. So `data/make/measure.py` ran three ways on the drawn flowers, five seeds each,
# with 100 pictures of each class, and a file keeps the results. From scratch and fine-tuned had the best of a few rates.
#
# - **start**: the accuracy after the first epoch;
# - **asymptote**: the mean accuracy of the last fifth of the epochs;
# - **slope**: what one epoch brings, from the start to nine tenths of the rise.
#
# **Predict.** Which way has the highest slope?
#
# <details><summary>Answer</summary>Look below the picture, at each run. They lie so far apart that from scratch and head only show
# no difference. Who starts high has less left to climb.</details>

# %%
import json
from kerastl.bases import bundled_folder

measured = json.loads((bundled_folder() / "measured.json").read_text())
ways = ("from scratch", "head only", "fine-tuned")
curves = {way: list(measured[f"curve of {way}, 100"].values()) for way in ways}
compared = tl.explain_transfer(curves)
print(compared)
for way in compared.strategies:
    print(f"slope of {way.name:12}", *(f"{slope:.3f}" for slope in way.slope))

# %% [markdown]
# The line is the mean, the band reaches from the lowest to the highest run. The mark at the left is the start, the short line
# at the right the asymptote. The accuracy is that on validation pictures. Fine-tuned is head only for the first 15 epochs, then
# phase 2 begins: so far the two lines cover each other.
#
# From scratch stays at guessing for some epochs, then climbs. If you have very little time, look at the start. If you have
# these 30 epochs, look at the asymptote. It is the end of *this* training: from scratch climbs on in a longer one.

# %% [markdown]
# ## 3. How much data does it save?
#
# The file also has test accuracies of the flowers for five sizes: five runs of each way, at rates chosen on validation pictures
# (for 20 and 100). These are other runs than in section 2. All ways had the same epochs: 80 with 5 pictures of each class, 65 with
# 10, 50 with 20, 30 with 50, 20 with 100.
#
# **Predict.** With how many pictures of each class does from scratch reach what head only has with 5?
#
# <details><summary>Answer</summary>Perhaps with none: go down the column *from scratch*. *In these epochs*, 5 pictures with
# transfer did more than 100 without. With 30 epochs, as in section 2, 100 are about as good.</details>


# %%
def mean(name):
    return np.mean(list(measured[name].values()))


def all_runs(name):
    return f"{mean(name):.3f}, runs: " + " ".join(f"{run:.3f}" for run in sorted(measured[name].values()))


three = ("from scratch", "head only", "top 100")
print("pictures a class", *(f"{way:>14}" for way in three))
for count in (5, 10, 20, 50, 100):
    print(f"{count:16}", *(f"{mean(f'near, {count}, {way}'):14.3f}" for way in three))

# %% [markdown]
# "Transfer learning is for small data": such rules come from tables like this one. How small is small? That depends on the task,
# on the base, and on how long you train. So measure it for your task.
#
# ## 4. Near, far, or harmful: which strategy?

# %% [markdown]
# The flowers are a **near** task: the base was trained on drawn flowers of other kinds. The butterflies are **far**: it has seen
# none. For them the file has five ways: from scratch, head only, and phase 2 with the top 30 layers of the base, the top 100,
# or all. All have the same number of epochs. Each line shows the mean and each of the five runs.
#
# **Predict.** On which task does phase 2 bring more?
#
# <details><summary>Answer</summary>On the far one. On the near task little is left to gain.</details>

# %%
for count in (20, 100):
    for way in ("from scratch", "head only", "top 30", "top 100", "all"):
        print(f"far, {count:3} a class, {way:12} {all_runs(f'far, {count}, {way}')}")
near = mean("near, 100, top 100") - mean("near, 100, head only")
far = mean("far, 100, top 100") - mean("far, 100, head only")
print(f"with 100 pictures the top 100 layers gain {near:+.3f} on the near task, {far:+.3f} on the far one")

# %% [markdown]
# On the far task the mean rises with the layers that are opened; with the whole base open it is highest. With 20 pictures each
# run from scratch is below that. With 100 one run from scratch is above it, and four are below. Whoever shows one run can show
# what they like.

# %% [markdown]
# A pre-trained start can also **harm**. Here is a third task: real handwritten digits, small and grey. First a logistic
# regression on the features (lesson 4), of the base that knows drawn flowers and of random parameters. Then the five ways. The
# regression learns from 1,200 digits, more than the five ways get: do not compare its lines with theirs.
#
# **Predict.** Head only is far below from scratch. And with the whole base open?
#
# <details><summary>Answer</summary>Compare the runs in the lines *from scratch* and *all*: they overlap.</details>

# %%
for weights in ("random weights", "garden"):
    print(f"digits, features of {weights:14} {all_runs(f'probe of {weights}, digits')}")
for count in (20, 100):
    for way in ("from scratch", "head only", "top 30", "top 100", "all"):
        print(f"digits, {count:3} a class, {way:12} {all_runs(f'harmful, {count}, {way}')}")

# %% [markdown]
# Each run of the random parameters is better than the base: this is **negative transfer**. A likely
# reason: the base has learned to look for petals and colours, and digits have none. Head only has to use
# these features; its short training may add to the gap. The top 30 layers repair a part of it. With 100 layers or all open no
# difference to from scratch is shown: **neutral transfer**.
#
# So which strategy? What was measured, as a table:
#
# | | 20 pictures of each class | 100 pictures of each class |
# |---|---|---|
# | **near** | head only; phase 2 adds .02 | the same |
# | **far** | phase 2, with all layers | phase 2, with all layers |
# | **harmful** | phase 2 with all layers, or from scratch | the same |
#
# It is a place to begin with, not a law. Near and far are not written on a folder: head only gives a first hint.

# %% [markdown]
# ## 5. No difference
#
# Sometimes two ways are the same, and the honest answer is: *no difference shown*. Here we compare phase 1 with itself,
# with other seeds, three runs each. Each run has 20 pictures of each class.
#
# **Predict.** Will the two means be exactly equal?
#
# <details><summary>Answer</summary>No. Chance alone moves them. That is what the interval is for.</details>


# %%
def head_only(seed):
    keras.utils.set_random_seed(seed)
    return tl.train_head(world.build(data), some(20, seed), epochs=5, verbose=0).history["val_accuracy"]


one, two = ([head_only(seed) for seed in seeds] for seeds in (range(3), range(100, 103)))
same = tl.explain_transfer({"head only": one, "head only, other seeds": two})
print(same)

# %% [markdown]
# "No difference shown" does not mean that there is none. It means that these few runs could not show one.
#
# ## 6. A small set: every picture is a test picture once
#
# With 100 pictures, a fifth for testing is 20: one wrong picture costs 0.05. **Cross-validation** uses each picture
# once for testing. It cuts the set into five parts. Five times it trains on four parts and tests on the fifth. A classifier on features
# (lesson 4) is quick enough for that.

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

features = tl.extract_features(model, few.train)
simple = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
parts = StratifiedKFold(5, shuffle=True, random_state=0)
scores = cross_val_score(simple, features.values, features.labels, cv=parts)
print("each part:", ", ".join(f"{score:.2f}" for score in scores))
print(f"mean {scores.mean():.3f}; the parts differ by up to {np.ptp(scores):.2f}")

# %% [markdown]
# The mean of the five is a better estimate than any of them. The scaling is inside the pipeline, so each part is scaled by what
# the other four know: otherwise the tested pictures would leak. Do not choose a setting by these scores and then report the
# same scores. Choose with some pictures, report with others.

# %% [markdown]
# ## Break it on purpose
#
# Two runs of the *same* method differ by chance. Somebody shows one run of each side, and the run of the favourite happens to
# be a good one. Here both sides are phase 1, with other pictures and seeds.

# %%
ends = [[run[-1] for run in runs] for runs in (one, two)]
favourite, rival = sorted(ends, key=max, reverse=True)  # the side with the best run of all
print(f"the favourite's best run {max(favourite):.3f}, the worst run of the other side {min(rival):.3f}")
gain, difference = max(favourite) - min(rival), np.mean(favourite) - np.mean(rival)
print(f"'our method gains {gain:+.3f}'; the means differ by {difference:+.3f}")

# %% [markdown]
# The **symptom** is a table without seeds and without spread. The **repair**: several runs of each side, all of them shown,
# and the seeds fixed before you look.
#
# ## Exercises
#
# **Exercise 1 ★** `compared.comparisons` is a list: one comparison for each way but the first. Put the comparison of
# *fine-tuned* into `tuned` (the one itself, not a list).

# %% tags=["exercise"]
tuned = ...
# solution
tuned = compared.comparisons[1]
# wrong: compared.comparisons[0]
# wrong: compared.strategies[2]
# wrong: "fine-tuned"
# wrong: 0.1

# %%
check(
    "Exercise 1", tuned, lambda row: row.name == "fine-tuned" and row in compared.comparisons, "Each one has a `name`."
)

# %% [markdown]
# **Exercise 2 ★★** How long does each way need? Write `first_epoch(runs, accuracy)`. It gives a list: for each run the number of the
# first epoch (counted from 1) with this accuracy or a higher one, and `None` for a run that never has it. Then try it:
# `first_epoch(curves["from scratch"], 0.6)`.

# %% tags=["exercise"]
first_epoch = ...


# solution
def first_epoch(runs, accuracy):
    return [next((epoch for epoch, value in enumerate(run, 1) if value >= accuracy), None) for run in runs]


# wrong: [1, 1, 1, 1, 1]
# wrong: lambda runs, accuracy: [int(np.argmax(np.array(run) >= accuracy)) for run in runs]
# wrong: lambda runs, accuracy: [int(np.argmax(np.array(run) >= accuracy)) + 1 for run in runs]
# wrong: lambda runs, accuracy: 1
# wrong: lambda runs, accuracy: [2, 1, None]
# wrong: lambda r, a: [min(((v, e) for e, v in enumerate(x, 1) if v >= a), default=(0, None))[1] for x in r]

# %%
slowest = [[0.1, 0.3, 0.2, 0.9], [0.5, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1]]
rising = [[0.1, 0.9, 0.6, 0.2]]
check(
    "Exercise 2",
    first_epoch,
    lambda f: list(f(slowest, 0.3)) + list(f(slowest[::-1], 0.5)) + list(f(rising, 0.5)) == [2, 1, None, None, 1, 4, 2],
    "Go along each run, and stop at the first accuracy that is high enough.",
)

# %% [markdown]
# **Exercise 3 ★★★** An interval without a formula. Write `bootstrap(one, two)` for two lists of accuracies, where runs at the
# same place belong together (the same seed). Take the differences, one minus two. Of these n differences draw n by chance; the
# same one may be drawn more than once (*with replacement*). Take the mean of what you drew. Do this 10,000 times. Give two
# numbers: the 2.5th and the 97.5th percentile of the 10,000 means.

# %% tags=["exercise"]
bootstrap = ...


# solution
def bootstrap(one, two):
    differences = np.array(one) - np.array(two)
    chance = np.random.default_rng(0)
    drawn = chance.choice(differences, size=(10_000, len(differences)))
    return np.percentile(drawn.mean(axis=1), [2.5, 97.5])


# wrong: (0.0, 0.1)
# wrong: lambda one, two: np.percentile(np.array(one) - np.array(two), [2.5, 97.5])
# wrong: lambda one, two: [np.mean(one) - np.mean(two)] * 2
# wrong: lambda one, two: np.mean(d := np.subtract(one, two)) + np.array([-1.96, 1.96]) * d.std(ddof=1) / len(d) ** 0.5
# wrong: lambda one, two: (min(one) - max(two), max(one) - min(two))

# %%
chance = np.random.default_rng(4)
shared = chance.normal(0.7, 0.05, 8)  # what both runs of one seed have in common
numbers = shared + 0.1 - chance.exponential(0.03, 8), shared
sums = chance.choice(numbers[0] - numbers[1], (20_000, 8)).mean(axis=1)
expected = np.percentile(sums, [2.5, 97.5])
check(
    "Exercise 3",
    bootstrap,
    lambda f: np.allclose(f(*map(list, numbers)), expected, rtol=0, atol=0.002),
    "`np.percentile`, at the end.",
)

# %% [markdown]
# ## What you have seen
#
# - On a near task, transfer gives a higher start and, in these epochs, a higher end. A base that does not fit can harm.
# - Near or far decides which strategy is best. How many pictures there are decided here how much it gains. Measure, also the
#   random start.
# - One run is no proof. Five runs with an interval are a beginning.
#
# **Can you say it without looking?** What are start, slope and asymptote? When does transfer stop helping? Why is "no
# difference shown" not the same as "none"?

# %% [markdown]
# **Read on:** Torrey and Shavlik, "Transfer Learning" (2009). Yosinski and others,
# [How transferable are features in deep neural networks?](https://arxiv.org/abs/1411.1792) (2014): lower layers serve many tasks,
# upper layers their own. He, Girshick and Dollár, [Rethinking ImageNet Pre-training](https://arxiv.org/abs/1811.08883) (2019):
# with much data and long training, from scratch reaches the same accuracy. Kornblith and others,
# [Do Better ImageNet Models Transfer Better?](https://arxiv.org/abs/1805.08974) (2019): they do, most of all as fixed features, and
# on some small, fine-grained sets pre-training helps little.
