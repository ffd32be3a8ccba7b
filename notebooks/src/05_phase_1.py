# ---
# title: "Phase 1: why does a small head learn so fast?"
# minutes: 35
# needs: lessons 0 and 1
# step: phase 1
# goals:
#   - freeze a base, add a head, compile and train it in plain Keras
#   - prove that the frozen parameters did not change
#   - say why a frozen base has to look at each picture only once
# ---

# %% [markdown]
# ## The idea
#
# The base knows useful things. The head knows nothing yet: its parameters are random. In **phase 1** only the head learns.
#
# ![The base is blue and locked; only the small head on top is orange.](pictures/phase-1.svg)
#
# Why not all at once? Many texts say: the errors of a random head would harm the base. Lesson 6 tests that. But there is a
# reason that needs no test. A frozen base gives the same numbers for a picture in each epoch, so it has to compute them only
# once.
#
# First by hand, in plain Keras: these lines you will meet everywhere. Then with the helper `train_head`.

# %%
import keras
import numpy as np
import tensorflow as tf
import kerastl as tl
from kerastl.bases import BUNDLED_WEIGHTS, bundled_folder
from kerastl.data import as_arrays, make_dataset
from kerastl.graph import find_base_model, leaf_layers

data = world.load()
size, classes = data.train.element_spec[0].shape[1:], len(data.class_names)
weights = world.weights  # "imagenet", which Keras downloads, or a file
if weights == "garden":
    weights = str(bundled_folder() / BUNDLED_WEIGHTS["garden"].file)

# %% [markdown]
# ## 1. Freeze
#
# `keras.applications` holds many networks. `include_top=False` leaves the old classifier out; what remains is the **base**.
# `weights` says where its parameters come from. (`alpha` makes the network narrower, so that it is faster.)
#
# The **parameters** of a layer are numbers. Keras keeps them in **weight arrays**: a Dense layer has two, the kernel and the
# bias. Each layer has a switch, `trainable`. If it is `False`, training leaves the weight arrays of the layer as they are.
#
# ![A network of blue blocks with a closed lock; the arrow of training does not get in.](pictures/freeze.svg)
#
# **Predict.** After `base.trainable = False`, how many weight arrays are in `base.trainable_weights`?
#
# <details><summary>Answer</summary>None. All of them moved to `base.non_trainable_weights`.</details>

# %%
base = keras.applications.MobileNetV2(include_top=False, weights=weights, input_shape=size, alpha=world.alpha)
print(f"before: {len(base.trainable_weights)} weight arrays can learn, {len(base.non_trainable_weights)} cannot")
base.trainable = False
print(f"after:  {len(base.trainable_weights)} weight arrays can learn, {len(base.non_trainable_weights)} cannot")
assert not base.trainable_weights, "Set base.trainable = False."

# %% [markdown]
# Even before, some could not learn: means and variances that BatchNorm stores. No gradient moves them (lesson 6).

# %% [markdown]
# ## 2. Add a classifier
#
# ![A small orange block on top of the blue base gives one bar for each class: rose, tulip, daisy.](pictures/head.svg)
#
# The base gives a stack of small maps. **Pooling** takes the mean of each map: these are the features. In each step of training
# **Dropout** sets some features to zero, so that the classifier cannot rely on a few of them. A **Dense** layer makes one
# probability for each class.
#
# Pixels from 0 to 255 go in. The scaling that the base wants is a part of the model.
#
# **Predict.** There are as many features as maps. How many parameters does the Dense layer have?
#
# <details><summary>Answer</summary>Maps times classes, and one more (the bias) for each class.</details>


# %%
def build_by_hand():
    keras.utils.set_random_seed(0)  # each time the same random head
    base = keras.applications.MobileNetV2(include_top=False, weights=weights, input_shape=size, alpha=world.alpha)
    base.trainable = False
    image = keras.Input(size)
    x = keras.applications.mobilenet_v2.preprocess_input(image)
    x = base(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2, name="dropout")(x)
    probabilities = keras.layers.Dense(classes, activation="softmax", name="classifier")(x)
    return keras.Model(image, probabilities)


# %%
by_hand = build_by_hand()
parameters = by_hand.get_layer("classifier").count_params()
print(f"{base.output_shape[-1]} maps, {classes} classes, {parameters:,} parameters in the classifier")
dropout, ones = by_hand.get_layer("dropout"), np.ones((1, 10))
print("Dropout in training:", np.array2string(dropout(ones, training=True).numpy()[0], precision=2))
print("Dropout in use:     ", np.array2string(dropout(ones, training=False).numpy()[0], precision=2))

# %% [markdown]
# What Dropout leaves in training becomes a little larger: so the sum is the same in the mean. In use, Dropout does nothing.

# %% [markdown]
# ## 3. Compile and train
#
# `compile` fixes how the network learns: the **optimizer**, the **learning rate** (the size of its steps), and the **loss**
# (how wrong an answer is). The first `fit` after `compile` looks at what is
# trainable, and keeps to it.
#
# ![For a picture of a rose, the answer "rose 0.9" has a small loss, "rose 0.1" a large one.](pictures/loss.svg)
#
# `fit` goes through all training pictures each epoch. **EarlyStopping** ends it when the loss on validation pictures
# has not fallen by `min_delta` for `patience` epochs. It puts back the weight arrays of the last epoch that did.
#
# **Predict.** Which accuracy is higher in the first epoch: training or validation?
#
# <details><summary>Answer</summary>Look at the first line below.</details>

# %%
by_hand.compile(
    optimizer=keras.optimizers.Adam(learning_rate=1e-3),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
stop = keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=0.02, patience=2, restore_best_weights=True)
start = tl.snapshot(by_hand)
history = by_hand.fit(data.train, validation_data=data.validation, epochs=12, callbacks=[stop], verbose=0)
for epoch in history.epoch:
    training, validation = history.history["accuracy"][epoch], history.history["val_accuracy"][epoch]
    print(f"epoch {1 + epoch:2}: training {training:.3f}, validation {validation:.3f}")
training, validation = (by_hand.evaluate(part, verbose=0)[1] for part in (data.train, data.validation))
print(f"measured alike: training {training:.3f}, validation {validation:.3f}")

# %% [markdown]
# In the first epochs, validation can stand above training, for two reasons. While the network trains, Dropout takes features
# away. And the training accuracy is a mean over the epoch: when the epoch began, the network knew less. Validation comes
# after the epoch, without Dropout.
#
# The last line measures both alike: after training, without Dropout. Only these two can be compared.
#
# **Predict.** Which weight arrays have moved?
#
# <details><summary>Answer</summary>Two, both of the classifier. Each other number in the network is the same to the last
# bit.</details>

# %%
moved = [change.path for change in tl.changed_layers(start, tl.snapshot(by_hand))]
print("moved:", moved)

# %% [markdown]
# **Checkpoint.** This is what *frozen* has to mean.

# %%
assert {path.split("/")[0] for path in moved} == {"classifier"}, f"Only the classifier should move, not {moved}."

# %% [markdown]
# **What does `fit` do inside?** It takes batches of pictures, in each epoch in a new order. For each batch it asks: how does
# the loss change if this parameter grows a little? The answer is the **gradient**. Then it makes one step against it.
#
# Here is all of it as a loop of our own, for a few pictures: first the batches, then the steps.
#
# ![All training pictures go into the network once; then all of them go in again.](pictures/epoch.svg)

# %%
images, labels = as_arrays(data.train.take(4))


def batches(epochs):
    keras.utils.set_random_seed(0)  # each time the same orders
    for _ in range(epochs):
        order = np.random.permutation(len(labels))
        for first in range(0, len(labels), 32):
            rows = order[first : first + 32]
            yield images[rows], labels[rows]


# %%
in_a_loop = build_by_hand()
before = in_a_loop.get_layer("classifier").kernel.numpy()
optimizer = keras.optimizers.Adam(learning_rate=1e-3)
loss_of = keras.losses.SparseCategoricalCrossentropy()
for some_images, some_labels in batches(epochs=2):
    with tf.GradientTape() as tape:  # remembers what is computed
        loss = loss_of(some_labels, in_a_loop(some_images, training=True))
    gradients = tape.gradient(loss, in_a_loop.trainable_weights)
    optimizer.apply(gradients, in_a_loop.trainable_weights)
kernel = in_a_loop.get_layer("classifier").kernel.numpy()
print(f"the numbers of the kernel moved by up to {np.abs(kernel - before).max():.4f}")

# %% [markdown]
# ## 4. The same with the helper
#
# The frozen base gets the same pictures in each epoch, and it gives the same numbers, again and again. So `train_head` runs
# the base **once** for each picture and keeps the numbers. All epochs then train only the head on them.
#
# Now `fit` and `train_head` get the batches of the loop, and begin with the same head. (`build_model` makes the network of
# section 2; here its augmentation is switched off.)
#
# **Predict.** How far are the three kernels from each other afterwards?
#
# <details><summary>Answer</summary>As far as rounding goes. A shortcut that changed the result would be another
# method.</details>

# %%
with_fit = build_by_hand()
with_fit.compile(keras.optimizers.Adam(learning_rate=1e-3), loss="sparse_categorical_crossentropy")
with_fit.fit(batches(epochs=2), steps_per_epoch=-(-len(labels) // 32), epochs=2, verbose=0)
difference = np.abs(with_fit.get_layer("classifier").kernel.numpy() - kernel).max()
print(f"fit and the loop differ by at most {difference:.4f}")

# %%
keras.utils.set_random_seed(0)
helped = tl.build_model("MobileNetV2", data, weights=world.weights, alpha=world.alpha, augment=False)
few = data._replace(train=make_dataset(images, labels))
keras.utils.set_random_seed(0)
tl.train_head(helped, few, epochs=2, learning_rate=keras.optimizers.Adam(learning_rate=1e-3), verbose=0)
difference = np.abs(helped.get_layer("classifier").kernel.numpy() - kernel).max()
print(f"train_head and the loop differ by at most {difference:.4f}")

# %% [markdown]
# So from here on we use the helper. It lets the rate fall to zero by the end, unless you give it an optimizer of your own, as
# above.
#
# **Predict.** With ten epochs, how many times less often does a picture pass through the base?
#
# <details><summary>Answer</summary>Ten times: once, instead of once in each epoch.</details>

# %%
model = world.build(data)
phase1 = tl.train_head(model, data, epochs=10, verbose=0)
pictures = sum(len(labels) for part in (data.train, data.validation) for _, labels in part)
print(f"fit, 10 epochs:        {10 * pictures:6,} passes of a picture through the base")
print(f"train_head, 10 epochs: {pictures:6,} passes of a picture through the base")
axes = tl.plot_history(phase1)

# %% [markdown]
# The picture shows accuracy at the left and loss at the right; the dashed lines are training. Phase 1 shows the pictures as they
# are. With `views=3` three augmented copies of each picture are kept as well, and each epoch draws one of the four.
#
# ## Break it on purpose
#
# Somebody freezes the base *after* the model was compiled and had begun to train. Keras gives no error.
#
# **Predict.** After `trainable = False`, will `fit` move the base?
#
# <details><summary>Answer</summary>Yes. What learns was fixed when training was prepared for the first time.</details>

# %%
late = build_by_hand()
find_base_model(late).trainable = True
late.compile("adam", loss="sparse_categorical_crossentropy")
late.optimizer.build(late.trainable_variables)  # saves time: otherwise Keras prepares the step of training twice
late.fit(data.train.take(1), epochs=1, verbose=0)

find_base_model(late).trainable = False  # too late: the model is not compiled again
start = tl.snapshot(late)
late.fit(data.train.take(1), epochs=1, verbose=0)
print(len(tl.changed_layers(start, tl.snapshot(late))), "weight arrays moved; the classifier has 2")

# %% [markdown]
# The switch says *frozen*, and the base moves all the same. The **repair**: call `compile` again after each change of
# `trainable`. The helpers always do.
#
# ## Exercises
#
# **Exercise 1 ★** How many numbers can training change? Write a function `count_learning(model)` that tells it for any model.
# Count parameters, not weight arrays.

# %% tags=["exercise"]
count_learning = ...


# solution
def count_learning(model):
    return sum(array.numpy().size for array in model.trainable_weights)


# wrong: lambda model: len(model.trainable_weights)
# wrong: lambda model: model.count_params()
# wrong: lambda model: 6405
# wrong: 6405

# %%
opened = world.build(data)
tl.unfreeze_top(opened, 30)
right = [tl.list_blocks(one).total.trainable for one in (model, opened)]
check(
    "Exercise 1", count_learning, lambda f: [f(one) for one in (model, opened)] == right, "A kernel holds many numbers."
)

# %% [markdown]
# **Exercise 2 ★★** Adam moves each parameter by about the learning rate in each step. See it: train the head of a new model
# (`world.build(data)`) for three epochs at a rate of 1.0. Put the trained model into `too_fast`.

# %% tags=["exercise"]
too_fast = ...
# solution
too_fast = world.build(data)
history = tl.train_head(too_fast, data, epochs=3, learning_rate=1.0, verbose=0)
# wrong: world.build(data)
# wrong: model
# wrong: late
# wrong: [one := world.build(data), tl.train_head(one, data, epochs=3, learning_rate=0.1, verbose=0)][0]
# wrong: 0.5


# %%
def went_too_fast(answer):
    far = np.abs(answer.get_layer("classifier").kernel.numpy()).max() > 6
    same = zip(find_base_model(answer).get_weights(), find_base_model(build_by_hand()).get_weights(), strict=True)
    return far and all(np.array_equal(one, other) for one, other in same)


check("Exercise 2", too_fast, went_too_fast, "The base stays still, and the kernel of the classifier moves far.")

# %% [markdown]
# **Exercise 3 ★★★** Now alone, with other pictures: `tl.load_images("drawn_butterflies", image_size=world.image_size)`. In plain
# Keras, build a frozen base with a head of *two* Dense layers, the first with 32 units, and Dropout. Train it with EarlyStopping.
# Put the trained model into `deeper`.

# %% tags=["exercise"]
deeper = ...
# solution
wings = tl.load_images("drawn_butterflies", image_size=world.image_size)
frozen = keras.applications.MobileNetV2(include_top=False, weights=weights, input_shape=size, alpha=world.alpha)
frozen.trainable = False
image = keras.Input(size)
x = frozen(keras.applications.mobilenet_v2.preprocess_input(image))
x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
x = keras.layers.Dense(32, activation="relu")(x)
deeper = keras.Model(image, keras.layers.Dense(len(wings.class_names), activation="softmax")(x))
deeper.compile(keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
history = deeper.fit(wings.train, validation_data=wings.validation, epochs=5, callbacks=[stop], verbose=0)
# wrong: model
# wrong: world.build(tl.load_images("drawn_butterflies", image_size=world.image_size))
# wrong: keras.Sequential([keras.Input(size), keras.layers.Flatten(), keras.layers.Dense(8, activation="softmax")])
# wrong: keras.Model(image, keras.layers.Dense(8, activation="softmax")(deeper.layers[-3].output))
# wrong: [one := keras.Model(image, keras.layers.Dense(8, "softmax")(keras.layers.Dense(64, "relu")(deeper.layers[-3].output))), tl.train_head(one, wings, epochs=3, views=0, verbose=0)][0]
# wrong: 0.8


# %%
def is_deeper(answer):
    unseen = tl.load_images("drawn_butterflies", image_size=world.image_size).validation
    same = zip(find_base_model(answer).get_weights(), find_base_model(build_by_hand()).get_weights(), strict=True)
    learned = tl.evaluate(answer, unseen).accuracy > 3 / answer.output_shape[-1]
    layers = list(leaf_layers(answer))  # also those inside a nested head
    has_dropout = any(isinstance(layer, keras.layers.Dropout) for layer in layers)
    widths = sorted(layer.units for layer in layers if isinstance(layer, keras.layers.Dense))
    is_head = has_dropout and widths == sorted([32, answer.output_shape[-1]]) and len(answer.trainable_weights) == 4
    return learned and is_head and all(np.array_equal(one, other) for one, other in same)


check("Exercise 3", deeper, is_deeper, "Raw pixels go in; the base stays still; two Dense layers learn.")

# %% [markdown]
# ## What you have seen
#
# - `trainable = False`, then `compile`, then `fit`: in this order.
# - Compare the weight arrays before and after: that is a proof, the switch is not.
# - A frozen base gives the same numbers in each epoch, so once is enough.
#
# **Can you say it without looking?** Why can validation stand above training? Why must you compile again? Which work does
# `train_head` save?
#
# **Read on:** the Keras guide [Transfer learning & fine-tuning](https://keras.io/guides/transfer_learning/), up to
# "Fine-tuning". [Kornblith and others, 2019](https://arxiv.org/abs/1805.08974) compared 16 networks on 12 sets of pictures:
# as a rule, a network that is better on ImageNet has better frozen features, too. On two small sets of very similar classes
# ImageNet helped little.
