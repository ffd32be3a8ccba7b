# ---
# title: "Phase 2: how much to unfreeze, and how gently?"
# minutes: 40
# needs: lesson 5
# step: phase 2
# goals:
#   - unfreeze the top of a base, compile again, and train at a lower rate, in plain Keras
#   - keep BatchNorm still, and prove it
#   - choose the number of layers and the learning rate on validation pictures
# ---

# %% [markdown]
# ## The idea
#
# The head has learned. Now the top of the base may learn, too. The lower layers know edges and colours, which are useful for
# all pictures. The upper layers know what mattered for the *old* task. They can be adapted to the new one.
#
# ![The head and the upper blocks of the base are orange; the lower blocks are blue and locked.](pictures/phase-2.svg)
#
# Phase 2 shows what it can do where the new task is *far* from the old one. So in the drawn world this lesson takes
# butterflies. The base has learned from flowers only, and has never seen a wing.

# %%
import json

import keras
import matplotlib.pyplot as plt
import numpy as np
import kerastl as tl
from kerastl.bases import bundled_folder
from kerastl.data import as_arrays, make_dataset
from kerastl.graph import find_base_model

far = "drawn_butterflies" if WORLD == "drawn" else world.pictures
data = tl.load_images(far, image_size=world.image_size)
figure = tl.plot_images(data, count=16)


# %%
def build(dropout=0.2):
    keras.utils.set_random_seed(0)
    arguments = {"weights": world.weights, "alpha": world.alpha, "augment": False, "dropout": dropout}
    return tl.build_model("MobileNetV2", data, **arguments)


model = build()
phase1 = tl.train_head(model, data, epochs=10, verbose=0)
head_only = model.get_weights()  # each trial begins here
after_phase1 = phase1.history["val_accuracy"][-1]
print(f"after phase 1: validation accuracy {after_phase1:.3f}")

# %% [markdown]
# Can you tell the kinds in the picture apart, with their names? Then there is something to learn that the head alone may not
# find in the features of the base.
#
# ## 1. Unfreeze by hand
#
# First open the whole base, then close all but the top.
#
# ![The lower blocks are blue with a closed lock, the upper ones orange with an open lock; training reaches them.](pictures/unfreeze.svg)
#
# **Predict.** The top 30 layers of the base: how many of them have parameters that can learn?
#
# <details><summary>Answer</summary>Fewer than you may think. Activations, additions and padding count as layers, but have
# no parameters.</details>

# %%
base = find_base_model(model)
base.trainable = True
for layer in base.layers[:-30]:
    layer.trainable = False
learn = [layer for layer in base.layers[-30:] if layer.trainable_weights]
print(f"{len(learn)} of the top 30 layers can learn")

# %% [markdown]
# ## 2. BatchNorm
#
# Some of these layers are **BatchNormalization**. They bring the numbers that pass to mean 0 and variance 1. For this they
# *store* a mean and a variance, learned from many pictures. (After it come a factor γ and a summand β.)
#
# ![A narrow heap of bars beside zero goes in; a wider heap with its middle at zero comes out.](pictures/batchnorm.svg)
#
# In training they take the mean and the variance of your small batch instead, and the stored ones follow slowly. The base then
# gives other answers than it learned to give.
#
# **Predict.** We train with a learning rate of **0**. Does any weight array change?
#
# <details><summary>Answer</summary>Yes: the stored means and variances. They follow without a gradient.</details>

# %%
model.compile(keras.optimizers.Adam(0.0), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
start = tl.snapshot(model)
model.fit(data.train.take(2), epochs=1, verbose=0)
moved = tl.changed_layers(start, tl.snapshot(model))
print(len(moved), "weight arrays changed, for example", moved[0].path)

# %% [markdown]
# The **repair** is one more loop: freeze each BatchNorm layer by itself. You may read that `base(x, training=False)` is
# enough. On the Keras versions of today it is not; lesson 8 shows it.
#
# ## 3. Train, by hand and with the helper
#
# Here is all of phase 2 in plain Keras: open, hold BatchNorm, compile again with a low rate, fit.


# %%
def open_top(model, layers):
    base = find_base_model(model)  # in your own code you have `base` already
    base.trainable = True
    for layer in base.layers[:-layers]:
        layer.trainable = False
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


images, labels = as_arrays(data.train.take(4))  # a few pictures, as one batch
by_hand = build(dropout=0.0)
by_hand.set_weights(head_only)
open_top(by_hand, 30)
by_hand.compile(keras.optimizers.Adam(1e-4), loss="sparse_categorical_crossentropy")
history = by_hand.fit(images, labels, batch_size=len(labels), epochs=3, verbose=0)

# %% [markdown]
# **Checkpoint.** What learned? And what stayed?

# %%
before, after = build(dropout=0.0), tl.snapshot(by_hand)
before.set_weights(head_only)
moved = [change.path for change in tl.changed_layers(tl.snapshot(before), after)]
print(len(moved), "weight arrays changed, from", moved[0], "to", moved[-1])
assert any("classifier" not in path for path in moved), "The base has not learned: set `trainable`, then compile."
assert not any("moving" in path for path in moved), "Freeze every BatchNorm layer, then compile again."

# %% [markdown]
# `unfreeze_top` does the loops, and says what it did. `fine_tune` compiles and trains. It runs the frozen part only once for
# each picture, and the rest in each epoch.
#
# **Predict.** Both get the same pictures and the same steps. How far are the two models from each other?
#
# <details><summary>Answer</summary>As far as rounding goes.</details>

# %%
helped = build(dropout=0.0)
helped.set_weights(head_only)
print(tl.unfreeze_top(helped, 30))
few = data._replace(train=make_dataset(images, labels, batch_size=len(labels)))
tl.fine_tune(helped, few, epochs=3, learning_rate=keras.optimizers.Adam(1e-4), views=0, verbose=0)
first, plain, short = (one.predict(data.validation, verbose=0) for one in (before, by_hand, helped))
print(f"phase 2 moved the probabilities by up to {np.abs(plain - first).max():.4f}")
print(f"by hand and with the helper they differ by at most {np.abs(plain - short).max():.4f}")

# %% [markdown]
# Now with all pictures. If you give no rate, `fine_tune` begins at a third of the rate of phase 1, and lets it fall to zero by
# the end. The picture shows both phases: accuracy at the left, loss at the right, and a line where phase 2 begins.

# %%
model.set_weights(head_only)
unfrozen = tl.unfreeze_top(model, 30)
phase2 = tl.fine_tune(model, data, epochs=6, views=0, verbose=0)
print(f"phase 1: validation accuracy {after_phase1:.3f}")
print(f"phase 2: validation accuracy {phase2.history['val_accuracy'][-1]:.3f}")
axes = tl.plot_history(phase1, phase2)

# %% [markdown]
# ## 4. How many layers? How low a rate?
#
# Nobody can know this beforehand. So we try, always from the same start, and look at the **validation** pictures. The test
# pictures stay closed. First the number of layers, with one short run each.
#
# **Predict.** Which number of layers will be the best: 5, 30 or 100?
#
# <details><summary>Answer</summary>The farther the new task, the more layers have something to learn. Compare the lines below. But
# these are single runs: a small difference between two lines means nothing.</details>


# %%
def trial(layers):
    model.set_weights(head_only)
    tl.unfreeze_top(model, layers)
    return tl.fine_tune(model, data, epochs=3, views=0, verbose=0).history["val_accuracy"][-1]


for layers in (5, 30, 100):
    print(f"{layers:4} layers: validation accuracy {trial(layers):.3f}")

# %% [markdown]
# For the rate there is a quick look, the **range test** ([Smith, 2017](https://arxiv.org/abs/1506.01186)). One short run begins with a rate that is far too low, and
# each batch raises it. The loss stays, then falls, then explodes. `find_learning_rate` does this and puts everything back.
#
# **Predict.** Once we ask a new model before phase 1, once our model before phase 2. For which of the two does the loss fall
# clearly before it explodes?
#
# <details><summary>Answer</summary>For the new one: its head knows nothing yet. Before phase 2 the loss is low already, and one
# step changes less than chance does from batch to batch. There the test shows only where the rate is too high.</details>

# %%
model.set_weights(head_only)
tl.unfreeze_top(model, 30)
figure, sides = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
for phase, one, ax in (("phase 1", build(), sides[0]), ("phase 2", model, sides[1])):
    found = tl.find_learning_rate(one, data, verbose=0)
    tl.plot_learning_rates(found, ax=ax).set_title(f"before {phase}: suggested {found.suggested:.1g}")

# %% [markdown]
# `nan` means: no rate can be suggested. To choose below the explosion, one short run of each rate is not enough: the
# differences are small. So a command of this project, `data/make/measure_phase_2.py`, made longer runs with three seeds. A file
# keeps the results. They are of the drawn pictures, whatever `WORLD` is.
#
# **Predict.** Phase 1 had a rate of 0.001. Many texts say: at least ten times lower in phase 2. Is 0.0001 the best here?
#
# <details><summary>Answer</summary>No. On the butterflies its accuracy is the lowest of the three in each seed. The rate of
# phase 1 is the best of those tried; a higher one was not. On the flowers the three are close together.</details>

# %%
measured = json.loads((bundled_folder() / "phase_2.json").read_text())


def line(name, part=0):
    values = [result[part] for result in measured[name].values()]
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


for task in ("drawn_flowers", "drawn_butterflies"):
    print(f"{task}: phase 1 alone {line(f'{task}: phase 1')}")
    for rate in (1e-4, 3e-4, 1e-3):
        print(f"   phase 2, rate {rate:6}: {line(f'{task}: phase 2, rate {rate:g}')}")

# %% [markdown]
# "Ten times lower" is not a law. Here BatchNorm is held still and the rate falls to zero by the end; both may help a higher
# rate. With photos and another base it may be too high. So begin low, as `fine_tune` does, and try a higher one on validation
# pictures.
#
# ## Break it on purpose
#
# Why two phases at all? Somebody opens everything at once, on a head that is still random, at the rate of phase 1, in plain
# Keras.

# %%
hasty = build()
find_base_model(hasty).trainable = True
hasty.compile(keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
hasty.optimizer.build(hasty.trainable_variables)  # saves time: otherwise Keras prepares the step of training twice
hasty.fit(data.train, epochs=2, verbose=0)
at_once = hasty.evaluate(data.validation, verbose=0)[1]
print(f"everything at once: validation accuracy {at_once:.3f}; phase 1 alone had {after_phase1:.3f}")

# %% [markdown]
# Which of three is to blame: the random head, BatchNorm, or the rate? Only a comparison that changes *one* thing can tell. The
# same file has all eight combinations, with three seeds: the whole base open, plain `fit`, two epochs. (Those runs
# augment the pictures, too, so the run above is not one of them.) The right column is
# measured on darker validation pictures, at half the brightness: pictures unlike those that were learned from.
#
# **Predict.** Which of the three costs most?
#
# <details><summary>Answer</summary>At the rate of phase 1, BatchNorm that moves: with either head the mean is higher when it is
# still. At the lower rate, the random head.</details>

# %%
print("validation accuracy: mean of three (lowest to highest)   of darker pictures")
for rate in (1e-3, 1e-4):
    for head in ("random", "trained"):
        for norm in ("moving", "still"):
            name = f"drawn_butterflies: at once, head {head}, BatchNorm {norm}, rate {rate:g}"
            print(f"rate {rate:6}, head {head:7}, BatchNorm {norm:6}: {line(name)}   {line(name, 1)}")
name = "drawn_butterflies: phase 1"
print(f"phase 1 alone, all of the base frozen:          {line(name)}   {line(name, 1)}")

# %% [markdown]
# "A random head destroys the base" does not hold here. Random head, BatchNorm still, the rate of phase 1: that ends *above*
# phase 1 alone, on darker pictures, too. At the lower rate a random head has had too few steps to learn; that is slowness, and
# not damage. Not tested here: photos, long training, stronger shifts. There, others found that a random head does harm (Kumar,
# below). The **symptom** is a validation accuracy no better than after phase 1. The **repair** serves all cases: phase 1 first,
# BatchNorm still, a rate chosen on validation pictures.

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** Which layers have to be held still? Put a list of the BatchNorm layers among the top 30 layers of `base` into
# `norms`: the layers themselves, not their names.

# %% tags=["exercise"]
norms = ...
# solution
norms = [layer for layer in base.layers[-30:] if isinstance(layer, keras.layers.BatchNormalization)]
# wrong: [layer.name for layer in base.layers[-30:] if isinstance(layer, keras.layers.BatchNormalization)]
# wrong: [layer for layer in base.layers if isinstance(layer, keras.layers.BatchNormalization)]
# wrong: [layer for layer in base.layers[-30:] if layer.trainable_weights]
# wrong: 11

# %%
stored = {layer.name for layer in base.layers[-30:] if any("moving" in array.path for array in layer.weights)}
check("Exercise 1", norms, lambda answer: {one.name for one in answer} == stored, "Which ones store a mean?")

# %% [markdown]
# **Exercise 2 ★★** Open the base of a new model (`build()`) from the layer `"block_15_expand"` on, by hand or with the helper.
# BatchNorm stays still. Compile it, and put it into `opened`. The check trains it for one step and looks at what moves.

# %% tags=["exercise"]
opened = ...
# solution
opened = build()
tl.unfreeze_top(opened, "block_15_expand")
opened.compile(keras.optimizers.Adam(1e-4), loss="sparse_categorical_crossentropy")
# wrong: build()
# wrong: hasty
# wrong: by_hand
# wrong: tl.unfreeze_top(build(), "block_15_expand")
# wrong: 20


# %%
def opens_there(answer):
    start, names = tl.snapshot(answer), [layer.name for layer in base.layers]
    answer.train_on_batch(images, labels)
    paths = [change.path for change in tl.changed_layers(start, tl.snapshot(answer))]
    layers, at = {path.split("/")[0] for path in paths}, names.index("block_15_expand")
    is_norm = keras.layers.BatchNormalization
    above = {layer.name for layer in base.layers[at:] if layer.weights and not isinstance(layer, is_norm)}
    still = not layers.intersection(names[:at]) and not any("moving" in path for path in paths)
    return still and above | {"classifier"} <= layers


check("Exercise 2", opened, opens_there, "That layer moves; what is below it, and every stored mean, stays.")

# %% [markdown]
# **Exercise 3 ★★★** Now alone, in plain Keras and with other pictures: `tl.load_images("drawn_flowers",
# image_size=world.image_size)`. Build a frozen base with a head (as in lesson 5), train it, open the top 60 layers, hold
# BatchNorm still, compile again, train again. Put the trained model into `mine`.

# %% tags=["exercise"]
mine = ...
# solution
flowers = tl.load_images("drawn_flowers", image_size=world.image_size)
grown = find_base_model(build())  # or keras.applications.MobileNetV2(include_top=False, ...)
image = keras.Input(grown.input_shape[1:])
x = grown(keras.applications.mobilenet_v2.preprocess_input(image))
x = keras.layers.GlobalAveragePooling2D()(x)
mine = keras.Model(image, keras.layers.Dense(5, activation="softmax")(keras.layers.Dropout(0.2)(x)))
mine.compile(keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy")
mine.fit(flowers.train, verbose=0)
for number, layer in enumerate(grown.layers):
    is_low, is_norm = number < len(grown.layers) - 60, isinstance(layer, keras.layers.BatchNormalization)
    layer.trainable = not is_low and not is_norm
mine.compile(keras.optimizers.Adam(1e-4), loss="sparse_categorical_crossentropy")
history = mine.fit(flowers.train.take(8), verbose=0)
# wrong: hasty
# wrong: model
# wrong: world.build(tl.load_images("drawn_flowers", image_size=world.image_size))
# wrong: 0.97


# %%
def two_phases(answer):
    unseen = tl.load_images("drawn_flowers", image_size=world.image_size).validation
    pairs = zip(find_base_model(answer).weights, find_base_model(build()).weights, strict=True)
    paths = [one.path for one, other in pairs if not np.array_equal(one.numpy(), other.numpy())]
    low = {layer.name for layer in find_base_model(answer).layers[:-60]}
    moved = {path.split("/")[0] for path in paths}
    right = {"Conv_1", "block_11_expand"} <= moved and not low & moved and not any("moving" in path for path in paths)
    return right and tl.evaluate(answer, unseen).accuracy > 0.6


check(
    "Exercise 3", mine, two_phases, "The top moves, the first layers and all stored means stay, and flowers are known."
)

# %% [markdown]
# ## What you have seen
#
# - Unfreeze the top, keep BatchNorm still, compile again, begin with a lower rate.
# - What changed at a rate of zero was BatchNorm: look, do not trust.
# - Number of layers and rate are chosen on validation pictures, never on test pictures.

# %%
print(f"phase 1                         {after_phase1:.3f}")
print(f"phase 2, top 30 layers          {phase2.history['val_accuracy'][-1]:.3f}")
print(f"everything at once, plain Keras {at_once:.3f}")

# %% [markdown]
# **Can you say it without looking?** Why is a layer not the same as a weight array? What does BatchNorm store? Why is the rate lower in
# phase 2?
#
# **Read on:** [Yosinski and others, 2014](https://arxiv.org/abs/1411.1792) found that lower layers are general and upper ones
# belong to their task, and that the gain from a pre-trained start lasts through fine-tuning.
# [Kumar and others, 2022](https://arxiv.org/abs/2202.10054) found that fine-tuning with a random head distorts good features: better
# on pictures like those of training, worse on shifted ones. Phase 1 first helped with both.
