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
# is on the **validation** part. Only at the end we use the **test** part, once.

# %%
import kerastl as tl
from kerastl.data import pick_images

data = world.load()
print(data.class_names)

# %%
figure = tl.plot_images(data, count=10)

# %% [markdown]
# **Predict.** There are as many classes as names above. Somebody who guesses blindly is right how often?
#
# <details><summary>Answer</summary>One in as many as there are classes. Every result below has to be compared with
# this.</details>

# %%
chance = 1 / len(data.class_names)
print(f"guessing blindly: {chance:.2f}")

# %% [markdown]
# ## 2. Build
#
# `world.build` calls `tl.build_model`: it loads the base with its pre-trained weights, **freezes** it (training cannot
# change it), and puts a new head on top.
#
# **Predict.** The whole network has hundreds of thousands of parameters (numbers that can be learned). Which part of them
# can learn now: nearly all, half, or very few?
#
# <details><summary>Answer</summary>Very few: only those of the head. See the orange bar in the picture.</details>

# %%
model = world.build(data)
before = tl.list_blocks(model)
axes = tl.plot_layers(before)

# %% [markdown]
# Each bar is a block of the network, from the picture on the left to the head on the right. The higher the bar, the more
# parameters. Blue is frozen, orange can learn.
#
# **Checkpoint.** If this cell prints nothing, all is well.

# %%
total = before.total
assert 0 < total.trainable < 0.1 * total.parameters, "Only the head should be trainable. Run the cells from the top."

# %% [markdown]
# ## 3. Train in two phases
#
# In phase 1 the base is only read. Its answer for a picture never changes, so it has to look at each picture only once.
# That is why phase 1 takes seconds.
#
# Then comes one line that is easy to forget: `unfreeze_top`. It opens the top 30 layers of the base. In phase 2 they learn
# together with the head, with a lower **learning rate**, that is, in smaller steps.
#
# **Predict.** Will the accuracy on validation pictures after phase 1 be near guessing, or far above it?
#
# <details><summary>Answer</summary>Far above it, although the base has not learned anything about these classes. It knew
# useful things before.</details>

# %%
start = tl.snapshot(model)
phase1 = tl.train_head(model, data, epochs=6, verbose=0)
print(f"validation accuracy after phase 1: {phase1.history['val_accuracy'][-1]:.3f}")

# %%
print(tl.unfreeze_top(model, 30))
phase2 = tl.fine_tune(model, data, epochs=6, verbose=0)
print(f"validation accuracy after phase 2: {phase2.history['val_accuracy'][-1]:.3f}")

# %% [markdown]
# Both phases in one picture. The line in the middle separates them. The full curve counts: it is measured on pictures from
# which the network does not learn.

# %%
axes = tl.plot_history(phase1, phase2)

# %% [markdown]
# **Checkpoint.** Did the right weights move, and only those?

# %%
moved = {change.path for change in tl.changed_layers(start, tl.snapshot(model))}
assert any("classifier" in path for path in moved), "The head has not moved. Run phase 1 again."
assert not any("moving_mean" in path for path in moved), "BatchNorm has moved. It should be held still."

# %% [markdown]
# ## 4. Test, save, use
#
# Now, and only now, we use the test pictures. The network has never seen them, and we have chosen nothing by looking at
# them. So this number is honest. The interval says how far chance may have moved it.

# %%
result = tl.evaluate(model, data.test)
print(result)

# %% [markdown]
# `save` writes one file. The names of the classes are inside, and so is the scaling of the pictures. Whoever opens the
# file later cannot get it wrong.

# %%
tl.save(model, "my_model.keras", data.class_names)
PICK = 7  # another number, or the file of a photo of yours, such as "rose.jpg"
picture = PICK if isinstance(PICK, str) else pick_images(data.test, [PICK])[0][0]
for guess in tl.predict("my_model.keras", picture):
    print(f"{guess.class_name:12} {guess.probability:.3f}")

# %% [markdown]
# **Predict.** `predict` shows three classes with their probabilities. What is the sum over *all* classes?
#
# <details><summary>Answer</summary>1. The network has to share its belief among the classes that it knows, even for a
# picture that shows none of them.</details>

# %% [markdown]
# ## Break it on purpose
#
# Here is the most common mistake of all. Somebody starts phase 2 but forgets `unfreeze_top`. The helper notices it:

# %%
forgetful = world.build(data)
try:
    tl.fine_tune(forgetful, data, epochs=1, verbose=0)
except ValueError as error:
    print(error)

# %% [markdown]
# Plain Keras notices nothing. It trains for as long as you want, and gives no error. What moved?

# %%
forgetful.compile("adam", loss="sparse_categorical_crossentropy")
start = tl.snapshot(forgetful)
forgetful.fit(data.train, epochs=1, verbose=0)
print("weights that moved:", [change.path for change in tl.changed_layers(start, tl.snapshot(forgetful))])

# %% [markdown]
# Only the two weights of the head. The numbers look good, and the base learned nothing. The **repair** is the forgotten
# line. The **habit** that finds such mistakes is to look at what moved.
#
# ## Exercises
#
# Put your answer in place of `...` and run both cells. Nothing later depends on it.
#
# **Exercise 1 ★** How many test pictures does the network get wrong? Use `result`.

# %% tags=["exercise"]
wrong = ...
# solution
wrong = len(result.mistakes)

# %%
check("Exercise 1", wrong, lambda n: n == (result.predictions != result.labels).sum(), "Try `result.mistakes`.")

# %% [markdown]
# **Exercise 2 ★★** Train another model with phase 1 only, for three epochs, and measure it on the test pictures. Put what
# `tl.evaluate` returns into `head_only`.

# %% tags=["exercise"]
head_only = ...
# solution
small = world.build(data)
tl.train_head(small, data, epochs=3, verbose=0)
head_only = tl.evaluate(small, data.test)

# %%
check("Exercise 2", head_only, lambda r: r.accuracy > 2 * chance, "Build, train the head, evaluate on `data.test`.")

# %% [markdown]
# **Exercise 3 ★★★** Use pictures of your own: a folder with one folder for each class, at least ten pictures in each. Or
# take the other bundled set, `"drawn_species"`. Load it with `tl.load_images` and put it into `mine`.

# %% tags=["exercise"]
mine = ...
# solution
mine = tl.load_images("drawn_species")

# %%
check("Exercise 3", mine, lambda d: len(d.class_names) >= 2 and d is not data, '`tl.load_images("path/of/a/folder")`.')

# %% [markdown]
# ## What you have seen
#
# - A pre-trained base and a new head: few parameters to learn, and a good start.
# - Two phases: first the head, then also the top of the base, with a lower rate.
# - Look at what moved. A training without an error can still be wrong.

# %%
print(f"guessing blindly         {chance:.3f}")
print(f"validation, phase 1      {phase1.history['val_accuracy'][-1]:.3f}")
print(f"validation, phase 2      {phase2.history['val_accuracy'][-1]:.3f}")
print(f"test                     {result.accuracy:.3f}")

# %% [markdown]
# **Can you say it without looking?** What is a head? Why is the base frozen in phase 1? Why do we not look at the test
# pictures earlier?
#
# **Read on:** Keras's guide [Transfer learning & fine-tuning](https://keras.io/guides/transfer_learning/). Lesson 6 shows where its advice on BatchNorm does not hold.
