# ---
# title: "Start here: can a network learn new flowers in a minute?"
# minutes: 30
# needs: nothing but this page; later lessons explain each step
# step: load
# goals:
#   - say what each of the seven steps of the work is for
#   - train a network on new classes in two phases
#   - read how good it is, save it, and use it on a picture
# ---

# %% [markdown]
# ## The idea
#
# A network that has learned to tell many things apart already knows much: edges, colours, textures, parts. We take such
# a **pre-trained** network and teach it five new classes. This is **transfer learning**: what was learned on one task is
# the start for another.
#
# We keep the network without its old classifier. It is called the **base**. On top comes a new, small classifier, the
# **head**. In **phase 1** only the head learns. In **phase 2** the top of the base learns, too, in small steps.
#
# You will now do all of it once. Do not try to understand everything; each step has a lesson of its own.

# %% [markdown]
# ## 1. Load and look
#
# A network learns from examples. So the first question is always: what do the examples look like?
#
# The pictures come in three parts. The network learns from the **training** part. While it learns, we watch how good it
# is on the **validation** part. We use the **test** part only once, at the end.

# %%
import numpy as np

import kerastl as tl
from kerastl.data import pick_images

data = world.load()
print(data.class_names)

# %%
figure = tl.plot_images(data, count=10)

# %% [markdown]
# These are pictures of the training part, some of each class. Their names stand above them.
#
# **Predict.** Somebody does not look at the pictures, and only guesses. What share of the answers will be right?
# This share is the **accuracy**.
#
# <details><summary>Answer</summary>1 divided by the number of classes. Compare every result below with this.</details>

# %%
chance = 1 / len(data.class_names)
print(f"guessing blindly: {chance:.2f}")

# %% [markdown]
# ## 2. Build
#
# `world.build` calls `tl.build_model`: it loads the pre-trained base, **freezes** it (training cannot change it), and puts
# a new head on top.
#
# What a network has learned is in its **parameters**: numbers, hundreds of thousands of them. They lie in arrays, a few for
# each layer. Keras calls such an array a *weight*; we say **weight array**.
#
# **Predict.** How many of all parameters can change now: nearly all, half, or very few?
#
# <details><summary>Answer</summary>Very few: only those of the head. They are orange in the picture.</details>

# %%
model = world.build(data)
before = tl.list_blocks(model)
axes = tl.plot_layers(before)

# %% [markdown]
# The strip is the network, from the picture on the left to the head on the right. Each piece is a block of layers. The wider
# it is, the more parameters it has. Blue is frozen, orange can learn. The dotted part is **BatchNorm**: layers that are held
# still (lesson 6).
#
# **Checkpoint.** If this cell prints nothing, all is well.

# %%
total = before.total
assert 0 < total.trainable < 0.1 * total.parameters, "Only the head should be trainable. Run the cells from the top."

# %% [markdown]
# ## 3. Train in two phases
#
# In phase 1 the base does not change. So its answer to a picture does not change either, and it has to look at each picture
# only once. That is why phase 1 takes seconds. One pass over all training pictures is an **epoch**.
#
# Then comes one line that is easy to forget: `unfreeze_top`. It opens the top 30 layers of the base. In phase 2 they learn,
# too, at a lower **learning rate**: in smaller steps.
#
# **Predict.** After phase 1, is the accuracy on validation pictures near guessing, or far above it?
#
# <details><summary>Answer</summary>Far above it. The base has learned nothing about these classes yet. But what it knew before is
# useful for them.</details>

# %%
start = tl.snapshot(model)
phase1 = tl.train_head(model, data, epochs=6, verbose=0)
print(f"validation accuracy after phase 1: {phase1.history['val_accuracy'][-1]:.3f}")

# %%
print(tl.unfreeze_top(model, 30))
phase2 = tl.fine_tune(model, data, epochs=6, verbose=0)
print(f"validation accuracy after phase 2: {phase2.history['val_accuracy'][-1]:.3f}")

# %% [markdown]
# Both phases are in one picture, with a line between them. Look at the full curves: they are measured on validation pictures,
# from which the network does not learn. The left half shows the accuracy, the right one the **loss**: how wrong the answers are.

# %%
axes = tl.plot_history(phase1, phase2)

# %% [markdown]
# **Checkpoint.** Did the right weight arrays change, and only those?

# %%
moved = {change.path for change in tl.changed_layers(start, tl.snapshot(model))}
assert any("classifier" in path for path in moved), "The head has not changed. Run phase 1 again."
assert any("classifier" not in path for path in moved), (
    "The base has not changed. Run `unfreeze_top` and phase 2 again."
)
assert "Conv1/kernel" not in moved, "The bottom of the base has changed. Build the model again."
assert not any("moving_mean" in path for path in moved), "BatchNorm has changed. It should be held still."

# %% [markdown]
# ## 4. Test, save, use
#
# Only now we use the test pictures. The network has never seen them, and we have chosen nothing by looking at them. So this
# number is honest. The interval says how far chance may have moved it.

# %%
result = tl.evaluate(model, data.test)
print(result)

# %% [markdown]
# `save` writes one file. The names of the classes are inside, and so is the scaling of the pictures. So whoever opens the
# file later need not know them.

# %%
tl.save(model, "my_model.keras", data.class_names)
PICK = 7  # another number, or the file of a photo of yours, such as "rose.jpg"
picture = PICK if isinstance(PICK, str) else pick_images(data.test, [PICK])[0][0]
for guess in tl.predict("my_model.keras", picture):
    print(f"{guess.class_name:12} {guess.probability:.3f}")

# %% [markdown]
# **Predict.** `predict` shows three classes with their probabilities. What is the sum over *all* classes?
#
# <details><summary>Answer</summary>1. The network divides 1 among the classes that it knows. It does so for every picture,
# also for one that shows none of them.</details>

# %% [markdown]
# ## Break it on purpose
#
# Here is a common mistake. Somebody starts phase 2 but forgets `unfreeze_top`. The helper notices it:

# %%
forgetful = world.build(data)
try:
    tl.fine_tune(forgetful, data, epochs=1, verbose=0)
except ValueError as error:
    print(error)

# %% [markdown]
# Plain Keras notices nothing. It trains as long as you want, and gives no error. What changed?

# %%
forgetful.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
start = tl.snapshot(forgetful)
forgetful.fit(data.train, epochs=2, verbose=0)
print(f"validation accuracy: {forgetful.evaluate(data.validation, verbose=0)[1]:.3f}")
print("weight arrays that changed:", [change.path for change in tl.changed_layers(start, tl.snapshot(forgetful))])

# %% [markdown]
# Only the two arrays of the head. The accuracy is far above guessing, so nobody suspects anything. But the base learned
# nothing. The **repair** is the forgotten line. The **habit** that finds such mistakes: look at what changed.
#
# ## Exercises
#
# Put your answer in place of `...` and run both cells. Nothing later depends on it.
#
# **Exercise 1 ★** Of each class, how many test pictures does the network get wrong? Make a list or an array with one count
# for each class. `result.mistakes` has the numbers of these pictures, `result.labels` the true class of each picture.

# %% tags=["exercise"]
wrong_of_each = ...
# solution
wrong_of_each = np.bincount(result.labels[result.mistakes], minlength=len(data.class_names))
# wrong: len(result.mistakes)
# wrong: [0] * len(data.class_names)
# wrong: [int((result.labels == kind).sum()) for kind in range(len(data.class_names))]
# wrong: [int((result.predictions[result.mistakes] == kind).sum()) for kind in range(len(data.class_names))]
# wrong: [3, 3, 3, 3, 3]

# %%
recall = result.confusion.diagonal() / result.confusion.sum(axis=1)
of_each = np.bincount(result.labels)
check(
    "Exercise 1",
    wrong_of_each,
    lambda n: len(n) == len(recall) and np.allclose(1 - np.array(n) / of_each, recall),
    "One count for each class, by its true class.",
)

# %% [markdown]
# **Exercise 2 ★★** Train another model with phase 1 only, for three epochs. Put the trained *model* into `head_only`.

# %% tags=["exercise"]
head_only = ...
# solution
head_only = world.build(data)
history = tl.train_head(head_only, data, epochs=3, verbose=0)
# wrong: world.build(data)
# wrong: model
# wrong: phase1
# wrong: 0.97


# %%
def only_head_learned(trained):
    changed = tl.changed_layers(tl.snapshot(world.build(data)), tl.snapshot(trained))
    only_head = {change.path for change in changed} == {"classifier/kernel", "classifier/bias"}
    return only_head and tl.evaluate(trained, data.validation).accuracy > 1.2 * chance


check("Exercise 2", head_only, only_head_learned, "Only the head may have changed, and it has to know something.")

# %% [markdown]
# **Exercise 3 ★★★** Do all seven steps on other pictures: a folder of your own (one folder for each class, at least ten
# pictures in each), or the bundled set `"drawn_butterflies"`. Two epochs in each phase are enough. Save the model, and put
# the file and the pictures, as a pair `(file, data)`, into `mine`.

# %% tags=["exercise"]
mine = ...
# solution
other = tl.load_images("drawn_butterflies", image_size=world.image_size)
network = world.build(other)
tl.train_head(network, other, epochs=2, verbose=0)
tl.unfreeze_top(network, 30)
tl.fine_tune(network, other, epochs=2, verbose=0)
mine = (tl.save(network, "mine.keras", other.class_names), other)
# wrong: ("my_model.keras", data)
# wrong: (tl.save(world.build(other), "untrained.keras", other.class_names), other)
# wrong: (tl.save(model, "flowers.keras", data.class_names), other)
# wrong: network
# wrong: 0.8


# %%
def all_steps_done(pair):
    loaded, pictures = tl.load(pair[0]), pair[1]
    changed = {
        change.path for change in tl.changed_layers(tl.snapshot(world.build(pictures)), tl.snapshot(loaded.model))
    }
    base_learned = any("classifier" not in path for path in changed) and not any("moving" in path for path in changed)
    others = loaded.class_names == pictures.class_names != data.class_names
    return others and base_learned and tl.evaluate(loaded.model, pictures.test).accuracy > 1.2 / len(loaded.class_names)


check("Exercise 3", mine, all_steps_done, "Other classes, a file from `tl.save`, and a base that learned in phase 2.")

# %% [markdown]
# ## What you have seen
#
# - A pre-trained base and a new head: few parameters to learn, and a good start.
# - Two phases: first the head, then also the top of the base, with a lower rate.
# - Look at what changed. A training without an error can still be wrong.

# %%
print(f"guessing blindly         {chance:.3f}")
print(f"validation, phase 1      {phase1.history['val_accuracy'][-1]:.3f}")
print(f"validation, phase 2      {phase2.history['val_accuracy'][-1]:.3f}")
print(f"test                     {result.accuracy:.3f}")

# %% [markdown]
# **Can you say it without looking?** What is a head? Why is the base frozen in phase 1? Why do we not look at the test
# pictures earlier?
#
# **Read on:** Keras's guide [Transfer learning & fine-tuning](https://keras.io/guides/transfer_learning/). Lesson 8 shows where
# its advice on BatchNorm, `training=False`, does not hold.
