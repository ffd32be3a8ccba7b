# ---
# title: "From scratch or transferred: what does the start give?"
# minutes: 45
# needs: lessons 5 and 6
# step: test
# goals:
#   - compare learning curves of repeated runs by start, slope and asymptote
#   - say how much data transfer saves, and where it stops helping
#   - tell positive transfer from no difference
# ---

# %% [markdown]
# ## The idea
#
# A pre-trained start can help in three places. The **start**: better at once. The **slope**: faster progress. The
# **asymptote**: better at the end. Torrey and Shavlik drew it so in 2009.
#
# But one run proves nothing. Another seed gives another number. So each comparison here is repeated with five seeds, and
# we look at the spread.

# %%
import keras
import numpy as np
import kerastl as tl
from kerastl.data import as_arrays, few_of_each, make_dataset
from kerastl.graph import find_base_model, is_batch_norm

data = tl.load_images(world.pictures, image_size=world.image_size * 2 // 3)  # smaller, to save time
pictures, labels = as_arrays(data.train)
data = data._replace(validation=make_dataset(*(every[::2] for every in as_arrays(data.validation))))  # the same reason

# %% [markdown]
# To have several sizes of training data, we take a few pictures of each class, others for each seed.


# %%
def some(count, seed):
    rows = few_of_each(labels, count, seed)
    return data._replace(train=make_dataset(pictures[rows], labels[rows], shuffle=True))


# %% [markdown]
# ## 1. Two ways, the same budget
#
# Both ways get the same pictures, the same network, and the same number of epochs. From scratch the weights are random.
#
# A fair comparison needs one more thing. BatchNorm keeps moving means, and Keras's momentum for MobileNetV2 is made for very
# long trainings. In a short one the means would stay near their start (lesson 8). So we set a lower one.

# %%
EPOCHS, SEEDS = 5, 5
transferred = world.build(data)
network = tl.build_model("MobileNetV2", data, weights=None, alpha=world.alpha)
find_base_model(network).trainable = True
for layer in filter(is_batch_norm, find_base_model(network).layers):
    layer.momentum = 0.75
network.compile(keras.optimizers.Adam(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
network.optimizer.build(network.trainable_variables)
at_rest = [variable.numpy() for variable in network.optimizer.variables]
print(f"random weights: validation accuracy {network.evaluate(data.validation, verbose=0)[1]:.3f}")

# %% [markdown]
# Keras needs some ten seconds to prepare a step of training for the whole network. So all runs of a way use one network, and
# each begins with new random weights: from scratch in all of it, else in the head. The rate falls along a cosine in both ways.


# %%
def from_scratch(few, seed):
    keras.utils.set_random_seed(seed)
    network.set_weights(tl.build_model("MobileNetV2", few, weights=None, alpha=world.alpha).get_weights())
    for variable, value in zip(network.optimizer.variables, at_rest):
        variable.assign(value)
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: 3e-3 * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2)
    history = network.fit(few.train, validation_data=data.validation, epochs=EPOCHS, callbacks=[rate], verbose=0)
    return history.history["val_accuracy"]


# %%
def head_only(few, seed):
    keras.utils.set_random_seed(seed)
    head = transferred.get_layer("classifier")
    head.kernel.assign(keras.initializers.GlorotUniform()(head.kernel.shape))
    head.bias.assign(keras.ops.zeros(head.bias.shape))
    return tl.train_head(transferred, few, epochs=EPOCHS, verbose=0).history["val_accuracy"]


# %% [markdown]
# **Predict.** With 20 pictures of each class: which will be higher after the *first* epoch? And after the last?
#
# <details><summary>Answer</summary>Transfer, both times, in the mean of the runs. Look at how far.</details>

# %%
curves = {"from scratch": [], "head only": []}
for seed in range(SEEDS):
    few = some(20, seed)
    curves["from scratch"].append(from_scratch(few, seed))
    curves["head only"].append(head_only(few, seed))
compared = tl.explain_transfer(curves)
print(compared)

# %% [markdown]
# The line is the mean of five runs. The band reaches from the lowest to the highest run. Where two bands do not touch, the
# order is the same in all runs.
#
# From scratch, so few pictures and epochs are hardly enough to leave guessing. With more of both it gets further: section 2.
#
# **Checkpoint.**

# %%
assert compared.comparisons[0].verdict != "negative transfer", "Did both ways get the same pictures?"

# %% [markdown]
# ## 2. Start, slope, asymptote
#
# Three numbers for each curve. Whole curves need more time than a lesson has. So a command of this project,
# `data/make/measure.py`, ran three ways with 100 pictures of each class, for 30 epochs, with five seeds. A file keeps the
# results. They are of the drawn flowers, whatever `WORLD` is.
#
# In the picture, the mark at the left is the start, and the short line at the right is the asymptote.
#
# **Predict.** Which way has the highest slope?
#
# <details><summary>Answer</summary>It need not be the best way: who starts high has less left to climb.</details>

# %%
import json
from kerastl.bases import bundled_folder

measured = json.loads((bundled_folder() / "measured.json").read_text())
ways = ("from scratch", "head only", "fine-tuned")
print(tl.explain_transfer({way: list(measured[f"curve of {way}, 100"].values()) for way in ways}))

# %% [markdown]
# From scratch stays at guessing for a long time, then climbs. If you have very little time, look at the start. If you have much,
# look at the asymptote.
#
# ## 3. How much data does it save?
#
# Now other sizes of training data. To save time it is one run each; that is enough for a large difference, and too little
# for a small one. The runs with 20 pictures are there already.
#
# **Predict.** Does the difference grow or shrink with more pictures?
#
# <details><summary>Answer</summary>With enough pictures it shrinks: the network can learn from them what the base had learned
# before. With very few it is small, too, if even the head has too little to learn from.</details>

# %%
last = {20: (curves["from scratch"][0][-1], curves["head only"][0][-1])}
for count in (5, 30):
    few = some(count, seed=0)
    last[count] = from_scratch(few, seed=0)[-1], head_only(few, seed=0)[-1]
for count, (scratch, head) in sorted(last.items()):
    print(f"{count:3} pictures a class: from scratch {scratch:.3f}, head only {head:.3f}, gain {head - scratch:+.3f}")

# %% [markdown]
# "Transfer learning is for small data": such rules come from tables like this one. The border depends on the task, the base,
# and how long you train. So measure yours.
#
# ## 4. Where does transfer stop helping?
#
# The same file has test accuracies: five runs each, with the learning rate that was best for that way. With 20 pictures of each
# class they had 100 epochs, with 100 pictures 30.
#
# **Predict.** From 20 to 100 pictures of each class: who gains more, from scratch or fine-tuned?
#
# <details><summary>Answer</summary>From scratch, by far. It had more to learn.</details>


# %%
def spread(name):
    runs = measured[name].values()
    return f"{min(runs):.3f} to {max(runs):.3f}"


for count in (20, 100):
    for way in ("from scratch", "fine-tuned"):
        print(f"{count:3} pictures a class, {way:12} test accuracy {spread(f'{way}, {count}')}")

# %% [markdown]
# The gain is large with few pictures, and much smaller with many. So transfer stops helping *slowly*, as your own pictures
# become enough.
#
# It can also **harm**. Here is another task: small grey digits. Nothing is trained but a logistic regression on the features
# (lesson 4). Once the features come from the base that knows drawn flowers, and five times from random weights.

# %%
for weights in ("random weights", "garden"):
    print(f"digits, features of {weights:14} test accuracy {spread(f'probe of {weights}, digits')}")

# %% [markdown]
# Random weights are better, in all five runs. A likely reason: the base has learned to look for petals and colours, and digits
# have none. This is **negative transfer**: the pre-trained start is worse than a random one. So measure the other start, too.

# %% [markdown]
# ## 5. No difference
#
# Sometimes two ways are the same, and the honest answer is: *no difference shown*. Here we compare phase 1 with itself,
# with other seeds, three runs each.
#
# **Predict.** Will the two means be exactly equal?
#
# <details><summary>Answer</summary>No. Chance alone moves them. That is what the interval is for.</details>

# %%
again = [head_only(some(20, seed + 100), seed + 100) for seed in range(3)]
same = tl.explain_transfer({"head only": curves["head only"][:3], "head only, other seeds": again})
print(same)

# %% [markdown]
# "No difference shown" does not mean that there is none. It means that these few runs could not show one.

# %% [markdown]
# ## Break it on purpose
#
# Two runs of the *same* method differ by chance. Who shows one run of each, and happens to have a good one of the favourite,
# has "proved" something. Here both sides are phase 1, with other pictures and seeds.

# %%
one, two = ([run[-1] for run in runs] for runs in (curves["head only"], again))
favourite, rival = sorted((one, two), key=max, reverse=True)  # who has the best run of all
print(f"the favourite's best run {max(favourite):.3f}, the worst run of the other side {min(rival):.3f}")
gain, difference = max(favourite) - min(rival), np.mean(favourite) - np.mean(rival)
print(f"'our method gains {gain:+.3f}'; the means differ by {difference:+.3f}")

# %% [markdown]
# The **symptom** is a table without seeds and without spread. The **repair**: several runs of each side, all of them shown,
# and the seeds fixed before you look.

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** How much higher is the start with transfer, in the mean of the five runs?

# %% tags=["exercise"]
gain = ...
# solution
gain = compared.comparisons[0].start[0]

# %%
check(
    "Exercise 1", gain, lambda g: abs(g - compared.comparisons[0].start[0]) < 1e-6, "`compared.comparisons[0].start`."
)

# %% [markdown]
# **Exercise 2 ★★** In how many of the five runs is head only better in the last epoch?

# %% tags=["exercise"]
wins = ...
# solution
wins = sum(one[-1] > two[-1] for one, two in zip(curves["head only"], curves["from scratch"]))

# %%
expected = (np.array(curves["head only"])[:, -1] > np.array(curves["from scratch"])[:, -1]).sum()
check("Exercise 2", wins, lambda n: n == expected, "Compare the last values, run by run.")

# %% [markdown]
# **Exercise 3 ★★★** Add a third way: phase 1 for half of the epochs and phase 2 for the other half, one seed, 20 pictures
# of each class. Put its validation accuracies, one for each epoch, into `tuned`.

# %% tags=["exercise"]
tuned = ...
# solution
few = some(20, 0)
third = world.build(few)
first_half = tl.train_head(third, few, epochs=3, verbose=0)
tl.unfreeze_top(third, 30)
second_half = tl.fine_tune(third, few, epochs=2, verbose=0)
tuned = first_half.history["val_accuracy"] + second_half.history["val_accuracy"]

# %%
check("Exercise 3", tuned, lambda a: len(a) == EPOCHS and max(a) <= 1, "Join two lists with `+`.")

# %% [markdown]
# ## What you have seen
#
# - Transfer gives a higher start; often a higher end, too, when there is little data.
# - One run is no proof. Five runs with an interval are a beginning.
# - A fair baseline takes care: the same pictures, epochs, and BatchNorm that fits.
#
# **Can you say it without looking?** What are start, slope and asymptote? When does transfer stop helping? Why is "no
# difference shown" not the same as "none"?
#
# **Read on:** Torrey and Shavlik, "Transfer Learning" (2009); Kornblith and others,
# [Do Better ImageNet Models Transfer Better?](https://arxiv.org/abs/1805.08974) (2019).
