# ---
# title: "Phase 1: why does a small head learn so fast?"
# minutes: 30
# needs: lessons 0 and 1
# step: phase 1
# goals:
#   - freeze a base, add a classifier, compile and train it in plain Keras
#   - prove that the frozen weights did not change
#   - say why a frozen base has to look at each picture only once
# ---

# %% [markdown]
# ## The idea
#
# The base knows useful things. The head knows nothing yet: its weights are random. In phase 1 we let only the head learn.
# Why not all at once? Many texts say: the errors of a random head would destroy what the base knows. Lesson 6 tests that.
# There is a reason that needs no test: with the base frozen, this phase takes seconds.
#
# First by hand, in plain Keras. Then with the helper `train_head`, which does the same, faster.

# %%
from time import perf_counter

import keras
import kerastl as tl
from kerastl.graph import find_base_model

data = world.load()
base = find_base_model(world.build(data))  # the pre-trained base of this world, without a head
size = base.input_shape[1:]

# %% [markdown]
# ## 1. Freeze
#
# Each layer has a switch: `trainable`. If it is `False`, training leaves the layer's weights as they are.
#
# **Predict.** After `base.trainable = False`, how many weights of the base are in `base.trainable_weights`?
#
# <details><summary>Answer</summary>None. All of them moved to `base.non_trainable_weights`.</details>

# %%
base.trainable = False
print(len(base.trainable_weights), "trainable,", len(base.non_trainable_weights), "not trainable")

# %% [markdown]
# **Checkpoint.**

# %%
assert not base.trainable_weights, "Set base.trainable = False."

# %% [markdown]
# ## 2. Add a classifier
#
# The base gives a stack of small maps. **Pooling** takes the mean of each map: one number each. A **Dense** layer turns
# these numbers into one probability for each class.
#
# Raw pixels go in, from 0 to 255. Each base wants them scaled in its own way, so the scaling becomes a part of the model.
#
# **Predict.** The pooled features are as many as the maps of the base. How many weights does the Dense layer have?
#
# <details><summary>Answer</summary>Maps times classes, and one more (the bias) for each class.</details>

# %%
image = keras.Input(size)
x = keras.applications.mobilenet_v2.preprocess_input(image)
x = base(x)
x = keras.layers.GlobalAveragePooling2D()(x)
probabilities = keras.layers.Dense(len(data.class_names), activation="softmax", name="classifier")(x)
by_hand = keras.Model(image, probabilities)

# %%
maps, classes = base.output_shape[-1], len(data.class_names)
print(
    f"{maps} maps, {classes} classes, {by_hand.get_layer('classifier').count_params():,} parameters in the classifier"
)

# %% [markdown]
# ## 3. Compile and train
#
# `compile` fixes how the network learns: the **optimizer** with its **learning rate**, and the **loss**, which says how
# wrong an answer is. What is trainable at this moment is what will learn.

# %%
by_hand.compile(
    optimizer=keras.optimizers.Adam(learning_rate=1e-3),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)

# %% [markdown]
# We copy all weights before, so that we can prove afterwards what moved.

# %%
start, began = tl.snapshot(by_hand), perf_counter()
history = by_hand.fit(data.train, validation_data=data.validation, epochs=3, verbose=0)
for epoch, accuracy in enumerate(history.history["val_accuracy"], start=1):
    print(f"epoch {epoch}: validation accuracy {accuracy:.3f}")
seconds_by_hand = perf_counter() - began

# %%
for change in tl.changed_layers(start, tl.snapshot(by_hand)):
    print(change.path, "moved")

# %% [markdown]
# Two weights moved, both in the classifier. Every other number in the network is the same to the last bit. This is what
# *frozen* has to mean.

# %% [markdown]
# **Checkpoint.**

# %%
moved = {change.path.split("/")[0] for change in tl.changed_layers(start, tl.snapshot(by_hand))}
assert moved == {"classifier"}, f"Only the classifier should move, not {moved}."

# %% [markdown]
# ## 4. The same with the helper
#
# Think about what the frozen base does. In each epoch it gets the same pictures, and its weights are the same. So it
# gives the same numbers, again and again. Nearly all the time goes into work that was done before.
#
# `train_head` therefore runs the base **once** for each picture and keeps the numbers. All epochs then only train the
# head on them.
#
# **Predict.** With ten epochs, how many times less often does a picture pass through the base?
#
# <details><summary>Answer</summary>Ten times: once, instead of once in each epoch.</details>

# %%
model, began = world.build(data), perf_counter()
phase1 = tl.train_head(model, data, epochs=10, verbose=0)
faster = (seconds_by_hand / 3) / ((perf_counter() - began) / 10)
pictures = sum(len(labels) for part in (data.train, data.validation) for _, labels in part)
print(f"plain fit:  {10 * pictures:6,} pictures through the base")
print(f"train_head: {pictures:6,} pictures through the base")
print("an epoch of train_head takes less than half the time:", faster > 2)

# %%
axes = tl.plot_history(phase1)

# %% [markdown]
# The weights after training are the same as without this trick. A test of this package trains both ways and compares
# them. It holds because phase 1 shows the pictures as they are, without augmentation. With `views=3` three augmented copies
# of each picture are kept as well, and each epoch draws one of the four.

# %%
print(f"by hand, 3 epochs      {tl.evaluate(by_hand, data.test)}")
print(f"train_head, 10 epochs  {tl.evaluate(model, data.test)}")

# %% [markdown]
# ## Break it on purpose
#
# Somebody freezes the base *after* the model was compiled and had begun to train. Keras gives no error.

# %%
late = find_base_model(world.build(data))
image = keras.Input(size)
x = keras.layers.GlobalAveragePooling2D()(late(keras.applications.mobilenet_v2.preprocess_input(image)))
broken = keras.Model(image, keras.layers.Dense(classes, activation="softmax", name="classifier")(x))
late.trainable = True
broken.compile("adam", loss="sparse_categorical_crossentropy")
history = broken.fit(data.train.take(1), epochs=1, verbose=0)

# %%
late.trainable = False  # too late: the model is not compiled again
start = tl.snapshot(broken)
history = broken.fit(data.train.take(1), epochs=1, verbose=0)
print(len(tl.changed_layers(start, tl.snapshot(broken))), "weights moved; the classifier has 2")

# %% [markdown]
# The switch says *frozen*, and the weights move all the same. The **repair**: call `compile` again after each change of
# `trainable`. The helpers always do.

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** How many parameters learn in `model` now?

# %% tags=["exercise"]
parameters = ...
# solution
parameters = sum(weight.numpy().size for weight in model.trainable_weights)

# %%
check("Exercise 1", parameters, lambda n: n == tl.list_blocks(model).total.trainable, "Maps × classes + classes.")

# %% [markdown]
# **Exercise 2 ★★** Train a new head with a learning rate of 1.0. What is the validation accuracy after three epochs? Put
# the last value of `val_accuracy` into `too_fast`.

# %% tags=["exercise"]
too_fast = ...
# solution
fast = world.build(data)
too_fast = tl.train_head(fast, data, epochs=3, learning_rate=1.0, verbose=0).history["val_accuracy"][-1]

# %%
check("Exercise 2", too_fast, lambda a: 0 <= a <= 1, '`train_head(..., learning_rate=1.0).history["val_accuracy"]`.')

# %% [markdown]
# **Exercise 3 ★★★** Build the head by hand with one more Dense layer of 32 units and `relu` before the classifier, on a
# frozen base. Put the model into `deeper`.

# %% tags=["exercise"]
deeper = ...
# solution
frozen = find_base_model(world.build(data))
image = keras.Input(size)
x = keras.layers.GlobalAveragePooling2D()(frozen(keras.applications.mobilenet_v2.preprocess_input(image)))
x = keras.layers.Dense(32, activation="relu")(x)
deeper = keras.Model(image, keras.layers.Dense(classes, activation="softmax")(x))

# %%
check("Exercise 3", deeper, lambda m: len(m.trainable_weights) == 4, "Two Dense layers have four weights that learn.")

# %% [markdown]
# ## What you have seen
#
# - `trainable = False`, then `compile`, then `fit`: in this order.
# - Compare the weights before and after: that is a proof, the switch is not.
# - A frozen base gives the same numbers in each epoch, so once is enough.
#
# **Can you say it without looking?** What does pooling do? Why must you compile again? Which work does `train_head` save?
#
# **Read on:** the Keras guide [Transfer learning & fine-tuning](https://keras.io/guides/transfer_learning/), up to
# "Fine-tuning".
