# ---
# title: "From scratch or transferred: what does the start give?"
# minutes: 40
# needs: lessons 5 and 6
# step: test
# goals:
#   - compare learning curves of repeated runs by start, slope and asymptote
#   - say how much data transfer saves
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
from kerastl.data import make_dataset

data = world.load()
pictures, labels = (np.concatenate(arrays) for arrays in zip(*[(x.numpy(), y.numpy()) for x, y in data.train]))

# %% [markdown]
# To have several sizes of training data, we take a few pictures of each class, others for each seed.


# %%
def some(count, seed):
    chance = np.random.default_rng(seed)
    kinds = range(len(data.class_names))
    rows = np.concatenate([chance.permutation(np.flatnonzero(labels == kind))[:count] for kind in kinds])
    return data._replace(train=make_dataset(pictures[rows], labels[rows], shuffle=True))


# %% [markdown]
# ## 1. Two ways, the same budget
#
# Both ways get the same pictures, the same network, and the same number of epochs. From scratch the weights are random.
#
# A fair comparison needs one more thing. BatchNorm keeps moving means, and Keras's value for MobileNetV2 is made for very
# long trainings. In a short one the means would stay near their start. `train_from_scratch` sets a value that suits.

# %%
EPOCHS, SEEDS = 10, 5


def from_scratch(few, seed):
    keras.utils.set_random_seed(seed)
    model = tl.build_model("MobileNetV2", few, weights=None, alpha=world.alpha)
    return model, tl.train_from_scratch(model, few, epochs=EPOCHS, verbose=0)


def head_only(few, seed):
    keras.utils.set_random_seed(seed)
    model = world.build(few)
    return model, tl.train_head(model, few, epochs=EPOCHS, verbose=0)


# %% [markdown]
# **Predict.** With 20 pictures of each class: which will be higher after the *first* epoch? And after the last?
#
# <details><summary>Answer</summary>Transfer, both times. Look at how far.</details>

# %%
curves = {"from scratch": [], "head only": []}
for seed in range(SEEDS):
    few = some(20, seed)
    curves["from scratch"].append(from_scratch(few, seed)[1].history["val_accuracy"])
    curves["head only"].append(head_only(few, seed)[1].history["val_accuracy"])

# %%
compared = tl.explain_transfer(curves)
print(compared)

# %% [markdown]
# The line is the mean of five runs. The band reaches from the lowest to the highest run. Where two bands do not touch, the
# order is the same in all runs.

# %% [markdown]
# **Checkpoint.**

# %%
assert compared.comparisons[0].verdict != "negative transfer", "Did both ways get the same pictures?"

# %% [markdown]
# ## 2. Start, slope, asymptote
#
# Three numbers for each curve. The slope can be *lower* for transfer, although it is better: who starts high has less left
# to climb.
#
# **Predict.** Which of the three would you look at if you have very little time?
#
# <details><summary>Answer</summary>The start. With much time, the asymptote.</details>

# %%
for strategy in compared.strategies:
    print(
        f"{strategy.name:13} start {strategy.start.mean():.3f}, slope {strategy.slope.mean():.3f} an epoch, "
        f"asymptote {strategy.asymptote.mean():.3f}"
    )

# %% [markdown]
# ## 3. How much data does it save?
#
# Now other sizes of training data. To save time, each size gets two seeds here; that is enough for a large difference,
# and too little for a small one.
#
# **Predict.** Does the difference grow or shrink with more pictures?
#
# <details><summary>Answer</summary>It shrinks. With enough pictures the network can learn from them what the base had learned
# before.</details>

# %%
sizes = {}
for count in (5, 40):
    for way in (from_scratch, head_only):
        runs = [max(way(some(count, seed), seed)[1].history["val_accuracy"]) for seed in range(2)]
        sizes[count, way.__name__] = np.mean(runs)
        print(f"{count:3} pictures of each class, {way.__name__:12}: {runs[0]:.3f} and {runs[1]:.3f}")

# %%
for count in (5, 40):
    print(
        f"{count:3} pictures of each class: transfer gains {sizes[count, 'head_only'] - sizes[count, 'from_scratch']:+.3f}"
    )

# %% [markdown]
# Rules such as "transfer learning is for small data" come from tables like this one. Where the border lies depends on the
# task, on the base and on how long you train. So measure it for yours.

# %% [markdown]
# ## 4. No difference
#
# Sometimes two ways are the same, and the honest answer is: *no difference shown*. Here we compare phase 1 with itself,
# with other seeds.
#
# **Predict.** Will the two means be exactly equal?
#
# <details><summary>Answer</summary>No. Chance alone moves them. That is what the interval is for.</details>

# %%
again = [head_only(some(20, seed), seed + 100)[1].history["val_accuracy"] for seed in range(SEEDS)]
same = tl.explain_transfer({"head only": curves["head only"], "head only, other seeds": again})
print(same)

# %% [markdown]
# "No difference shown" does not mean that there is none. It means that five runs could not show one.

# %% [markdown]
# ## Break it on purpose
#
# The most common unfair comparison: the network from scratch keeps Keras's slow BatchNorm means. Its training accuracy
# climbs, its validation accuracy does not, and transfer looks better than it is.

# %%
from kerastl.graph import find_base_model, is_batch_norm

keras.utils.set_random_seed(0)
stale = tl.build_model("MobileNetV2", data, weights=None, alpha=world.alpha)
find_base_model(stale).trainable = True
print("momentum:", {layer.momentum for layer in find_base_model(stale).layers if is_batch_norm(layer)})

# %%
stale.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = stale.fit(some(20, 0).train, validation_data=data.validation, epochs=EPOCHS, verbose=0).history
print(f"training {history['accuracy'][-1]:.3f}, validation {history['val_accuracy'][-1]:.3f}")

# %% [markdown]
# A gap like this between training and validation looks like overfitting, but it is the means. The **repair**:
# `train_from_scratch`, or a lower `momentum` in each BatchNorm layer.

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
# of each class. Put its ten validation accuracies into `tuned`.

# %% tags=["exercise"]
tuned = ...
# solution
few = some(20, 0)
third = world.build(few)
first_half = tl.train_head(third, few, epochs=5, verbose=0)
tl.unfreeze_top(third, 30)
second_half = tl.fine_tune(third, few, epochs=5, verbose=0)
tuned = first_half.history["val_accuracy"] + second_half.history["val_accuracy"]

# %%
check("Exercise 3", tuned, lambda a: len(a) == 10 and max(a) <= 1, "Join two lists with `+`.")

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
# **Read on:** Torrey and Shavlik, "Transfer Learning" (2009); Kornblith and others, "Do Better ImageNet Models Transfer
# Better?" (2019).
