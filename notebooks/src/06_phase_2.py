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
# The head has learned. Now the top of the base may learn, too. Its lower layers know edges and colours; they are useful
# for all pictures. Its upper layers know what mattered for the *old* task; they can be adapted to the new one.
#
# The steps must be small. The base is good already; large steps would destroy it.

# %%
import keras

import kerastl as tl
from kerastl.graph import find_base_model

data = world.load()
model = world.build(data)
phase1 = tl.train_head(model, data, epochs=6, verbose=0)
head_only = model.get_weights()  # to begin each trial at the same place
after_phase1 = phase1.history["val_accuracy"][-1]
print(f"after phase 1: validation accuracy {after_phase1:.3f}")

# %% [markdown]
# ## 1. Unfreeze by hand
#
# First open the whole base, then close all but the top. Then compile again, with a lower rate than in phase 1.
#
# **Predict.** The top 30 layers of the base: how many of them have weights that can learn?
#
# <details><summary>Answer</summary>Fewer than you may think. Activations, additions and padding count as layers, but have
# no weights.</details>

# %%
base = find_base_model(model)
base.trainable = True
for layer in base.layers[:-30]:
    layer.trainable = False
print(sum(bool(layer.trainable_weights) for layer in base.layers[-30:]), "of the top 30 layers have weights that learn")

# %% [markdown]
# ## 2. BatchNorm
#
# Some of these layers are **BatchNormalization**. They keep the mean and the variance of what passes through them,
# learned from many pictures. In training mode they replace these by the means of your few pictures, even at a learning
# rate of zero. The base then gives other answers than it learned to give.
#
# **Predict.** We train one epoch with a learning rate of **0**. Does any weight move?
#
# <details><summary>Answer</summary>Yes: the stored means and variances of BatchNorm. They are not learned by gradients, so
# the rate does not hold them.</details>

# %%
model.compile(keras.optimizers.Adam(0.0), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
start = tl.snapshot(model)
history = model.fit(data.train, epochs=1, verbose=0)
moved = tl.changed_layers(start, tl.snapshot(model))
print(len(moved), "weights moved, for example", moved[0].path)

# %% [markdown]
# The **repair** is one loop: freeze each BatchNorm layer by itself. You may read that `base(x, training=False)` is
# enough. On the Keras versions of today it is not; `tests/test_traps.py` of this project holds the proof.

# %%
model.set_weights(head_only)
for layer in base.layers:
    if isinstance(layer, keras.layers.BatchNormalization):
        layer.trainable = False

# %% [markdown]
# ## 3. Train, by hand and with the helper
#
# Now compile again, with a real rate, but a low one. And look: this time, what does *not* move?

# %%
model.compile(keras.optimizers.Adam(1e-4), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
start = tl.snapshot(model)
history = model.fit(data.train, epochs=2, verbose=0)
moved = tl.changed_layers(start, tl.snapshot(model))
means = [change.path for change in moved if "moving" in change.path]
print(f"{len(moved)} weights moved; {len(means)} of them are means and variances of BatchNorm")
print(f"by hand: validation accuracy {model.evaluate(data.validation, verbose=0)[1]:.3f}")

# %% [markdown]
# **Checkpoint.**

# %%
assert moved, "Nothing learned: set `trainable`, then compile."
assert not means, "Freeze every BatchNorm layer, then compile again."

# %% [markdown]
# `unfreeze_top` does the loops, and says what it did. `fine_tune` compiles, runs the frozen part only once for each
# picture, and lets the rate fall to zero by the end. The picture below shows both phases: accuracy on the left, loss on the
# right, and a line where phase 2 begins.

# %%
model.set_weights(head_only)
print(tl.unfreeze_top(model, 30))
phase2 = tl.fine_tune(model, data, epochs=6, verbose=0)
print(f"with the helper: validation accuracy {phase2.history['val_accuracy'][-1]:.3f}")

# %%
axes = tl.plot_history(phase1, phase2)

# %% [markdown]
# ## 4. How many layers? How low a rate?
#
# Nobody can know this beforehand. So we try, always from the same start, and look at the **validation** pictures. The
# test pictures stay closed. First other numbers of layers, then, with 30 layers, other rates.
#
# **Predict.** Which will matter more here: the number of layers, or the rate?
#
# <details><summary>Answer</summary>Compare the two tables. The spread of each tells it. In this run, that is: with other
# pictures it may be different.</details>


# %%
def trial(layers, rate):
    model.set_weights(head_only)
    tl.unfreeze_top(model, layers)
    history = tl.fine_tune(model, data, epochs=3, learning_rate=rate, views=0, verbose=0)
    return history.history["val_accuracy"][-1]


# %%
by_layers = {layers: trial(layers, 3e-4) for layers in (5, 30, 60)}
for layers, accuracy in by_layers.items():
    print(f"{layers:4} layers: validation accuracy {accuracy:.3f}")
by_rate = {1e-5: trial(30, 1e-5), 3e-4: by_layers[30], 3e-2: trial(30, 3e-2)}
for rate, accuracy in by_rate.items():
    print(f"rate {rate:7}: validation accuracy {accuracy:.3f}")

# %% [markdown]
# The setting with 30 layers and a rate of 0.0003 stands in both tables: it is one run. One run each says little about small
# differences. A rate that is far too high is no small difference.

# %% [markdown]
# ## Break it on purpose
#
# Why two phases at all? Somebody opens everything at once, on a head that is still random, at the rate of phase 1, in plain
# Keras.

# %%
hasty = world.build(data)
find_base_model(hasty).trainable = True
hasty.compile(keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
hasty.optimizer.build(hasty.trainable_variables)  # saves time: otherwise Keras prepares the step of training twice
history = hasty.fit(data.train, epochs=2, verbose=0)
at_once = hasty.evaluate(data.validation, verbose=0)[1]
print(f"everything at once: validation accuracy {at_once:.3f}; phase 1 alone had {after_phase1:.3f}")

# %% [markdown]
# Which of the three is to blame: the random head, the rate, or BatchNorm? We change one thing only, and hold BatchNorm still.
#
# **Predict.** Is it the same, or better?
#
# <details><summary>Answer</summary>It depends on the pictures. In our runs with drawn flowers it was about as good as phase 1:
# there, BatchNorm had done the damage. With photos it was even worse: there, the rate was too high for a base that knows so
# much.</details>

# %%
still = world.build(data)
tl.unfreeze_top(still, len(find_base_model(still).layers))
start = tl.snapshot(still)
history = tl.fine_tune(still, data, epochs=2, learning_rate=1e-3, views=0, verbose=0)
first = next(change for change in tl.changed_layers(start, tl.snapshot(still)) if "Conv1" in change.path)
print(f"the same, BatchNorm held still: validation accuracy {history.history['val_accuracy'][-1]:.3f}")
print(f"the very first layer moved by {first.moved:.1%} of its length")

# %% [markdown]
# Many texts have *one* reason, a random head, for all pictures. Measure before you believe it, also with your own. The
# **symptom** is a validation accuracy below that of phase 1. The **repair** helps against all three: phase 1 first, BatchNorm
# still, a low rate.

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** Which number of layers was best on the validation pictures? Take it from `by_layers`.

# %% tags=["exercise"]
best = ...
# solution
best = max(by_layers, key=by_layers.get)

# %%
check("Exercise 1", best, lambda n: by_layers[n] == max(by_layers.values()), "`max(by_layers, key=by_layers.get)`.")

# %% [markdown]
# **Exercise 2 ★★** Unfreeze only from the layer `"block_14_expand"` on, by its name, on a new model. Put what
# `unfreeze_top` returns into `opened`.

# %% tags=["exercise"]
opened = ...
# solution
opened = tl.unfreeze_top(world.build(data), "block_14_expand")

# %%
check("Exercise 2", opened, lambda u: u.first_layer == "block_14_expand", "A name goes where the number was.")

# %% [markdown]
# **Exercise 3 ★★★** Undo phase 2: freeze the base of `model` again, and show with two snapshots that one epoch of
# `train_head` moves nothing but the head. Put the changes into `changes`.

# %% tags=["exercise"]
changes = ...
# solution
tl.freeze(model)
start = tl.snapshot(model)
tl.train_head(model, data, epochs=1, verbose=0)
changes = tl.changed_layers(start, tl.snapshot(model))

# %%
check("Exercise 3", changes, lambda c: {w.path.split("/")[0] for w in c} == {"classifier"}, "Call `tl.freeze` first.")

# %% [markdown]
# ## What you have seen
#
# - Unfreeze the top, keep BatchNorm still, compile again, take a lower rate.
# - What moved at a rate of zero was BatchNorm: look, do not trust.
# - Number of layers and rate are chosen on validation pictures, never on test pictures.

# %%
print(f"phase 1                         {after_phase1:.3f}")
print(f"phase 2, top 30 layers          {phase2.history['val_accuracy'][-1]:.3f}")
print(f"everything at once, plain Keras {at_once:.3f}")

# %% [markdown]
# **Can you say it without looking?** Why is a layer not the same as a weight? What does BatchNorm store? Why is the rate
# lower in phase 2?
#
# **Read on:** lesson 7 repeats such runs with several seeds and shows how large chance is.
