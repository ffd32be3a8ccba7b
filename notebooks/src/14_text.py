# ---
# title: "Text: do the two phases work for words, too?"
# minutes: 50
# needs: lessons 4, 5 and 6
# step: phase 1
# goals:
#   - turn texts into token ids, and say what padding and the mask are for
#   - train BERT with one output layer in two phases, in plain Keras and with the helpers
#   - compare with a bag of words first, and find a leak in texts
# ---

# %% [markdown]
# ## The idea
#
# The texts behind this course speak of BERT: a network that was **pre-trained** on text without labels, and then gets **one
# additional output layer**. In our words: BERT is the *base*, the output layer is the *head*. All that you know goes on: freeze, train the
# head, unfreeze the top, train at a lower rate.
#
# Only the beginning differs. A network computes with numbers, so a text has to become numbers.
#
# This lesson needs KerasHub. Colab has it, and so has `make lab`; else run `pip install kerastl[text]`.

# %%
import json
import warnings

import keras
import keras_hub
import matplotlib.pyplot as plt
import numpy as np
import kerastl as tl
from kerastl.bases import bundled_folder
from kerastl.data import as_arrays, few_of_each
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

data = tl.load_texts("docstrings")
parts = {part: as_arrays(getattr(data, part)) for part in ("train", "test")}

# %% [markdown]
# **The texts** are on your machine already: a *docstring* is a short text in a Python package that says what a function or
# a class does. **The task**: of which package is it? The names of the packages were taken out.
#
# Labels cost time, so we take few: 50 training texts of each package.

# %%
few = {part: few_of_each(labels, 50 if part == "train" else 200, seed=0) for part, (_, labels) in parts.items()}
(texts, labels), (test, truth) = ([values[few[part]] for values in pair] for part, pair in parts.items())
texts, test = ([text.decode() for text in some] for some in (texts, test))
print(f"{len(texts)} training texts, {len(test)} test texts")
for label, name in enumerate(data.class_names):
    print(f"{name:11} {texts[labels.tolist().index(label)][:100]}")

# %% [markdown]
# **Predict.** Could you tell the package from such a text? Which two packages would you mix up?
#
# <details><summary>Answer</summary>Often yes, by single words, such as *axes* for Matplotlib. NumPy and SciPy speak of much the same
# things.</details>
#
# ## 1. A text becomes numbers
#
# A **tokenizer** has a *vocabulary*: a list of some thousand word pieces. It cuts a text into pieces of this list. The number of a
# piece is its **token id**. A word that is not in the list becomes several pieces; `##` means: joined to the one before.

# %%
preset = str(bundled_folder() / "small_bert")
tokenizer = keras_hub.models.BertTokenizer.from_preset(preset)
ids = tokenizer("Draw a histogram of unforgettable flowers.")
print(np.array(ids))
print([tokenizer.id_to_token(int(number)) for number in ids])

# %% [markdown]
# A batch needs rows of one length. Our BERT reads 64 pieces: `[CLS]`, the text, `[SEP]`, then **padding**, the id 0. The **mask**
# says what is text and what is padding. A longer text is cut off.

# %%
pack = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=64)
inputs = pack(texts)
print({name: tuple(array.shape) for name, array in inputs.items()})
print("ids:", np.array(inputs["token_ids"][0, :20]))
print("mask:", np.array(inputs["padding_mask"][0, :20]).astype(int))

# %% [markdown]
# ## 2. The simple rule first
#
# Before you use a network, try what takes a second. A **bag of words** counts how often each word occurs in a text, and forgets the
# order. A word that is in few texts counts more (*TF-IDF*). On these numbers, logistic regression, as in lesson 4.
#
# **Predict.** A guess is right in one of five. How good are single words, without any order?
#
# <details><summary>Answer</summary>Look at the number: far better than a guess. Which words did it?</details>

# %%
words = TfidfVectorizer(sublinear_tf=True)
counter = LogisticRegression(C=10, max_iter=2000).fit(words.fit_transform(texts), labels)
results = {"bag of words": counter.score(words.transform(test), truth)}
print(f"bag of words {results['bag of words']:.3f}")
for name, row in zip(data.class_names, counter.coef_, strict=True):
    print(f"{name:11}", ", ".join(words.get_feature_names_out()[np.argsort(-row)[:6]]))

# %% [markdown]
# ## 3. What did BERT learn without labels?
#
# Our small BERT read texts of *other* packages. Some words were **masked**, and it had to name them: "Return the [MASK] of the two
# arrays." For this it has to know which words can stand in the same place.
#
# The first layer of BERT, the **embedding**, has 128 numbers for each piece. Words with similar numbers are similar for BERT.
#
# **Predict.** Which words are nearest to *two*? And in a network with random weights?
#
# <details><summary>Answer</summary>Another number, such as *three*: both stand in the same places. With random weights: chance.</details>

# %%
bert = keras_hub.models.BertBackbone.from_preset(preset)
fresh = keras_hub.models.BertBackbone.from_preset(preset, load_weights=False)


def nearest_words(network, tokenizer, word):
    numbers = keras.utils.normalize(network.get_layer("token_embedding").get_weights()[0])
    order = np.argsort(-(numbers @ numbers[tokenizer.token_to_id(word)]))
    return ", ".join(tokenizer.id_to_token(int(number)) for number in order[1:5])


for word in ("two", "integer", "maximum", "file"):
    print(
        f"{word:8} pre-trained: {nearest_words(bert, tokenizer, word):40} random: {nearest_words(fresh, tokenizer, word)}"
    )

# %% [markdown]
# Nobody told it that *two* is a number. It follows from the places in which the word stands.
#
# ## 4. Phase 1, in plain Keras
#
# BERT gives 128 numbers for *each piece*. A head needs one row for a text: the mean over the pieces, without the padding. That is
# what pooling over places is for a picture.


# %%
def add_head(bert):
    mask = keras.ops.cast(bert.input["padding_mask"], "float32")[..., None]
    pooled = keras.ops.sum(bert.output["sequence_output"] * mask, 1) / keras.ops.sum(mask, 1)
    return keras.Model(bert.input, keras.layers.Dense(5, activation="softmax", name="head")(pooled))


def fit(model, rate, epochs=15, pack=pack):
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pack(texts), labels, epochs=epochs, batch_size=16, verbose=0)
    return model.evaluate(pack(test), truth, batch_size=128, verbose=0)[1]


# %%
model = add_head(bert)
bert.trainable = False
results["phase 1"] = fit(model, 1e-2)
start = tl.snapshot(model)
print("learns:", [weights.path for weights in model.trainable_weights])
print(f"phase 1 {results['phase 1']:.3f}")

# %% [markdown]
# The line `bert.trainable = False` stands *before* `compile`, as in lesson 5. Only the head learned: 128 × 5 kernel and 5 biases.
#
# ## 5. Phase 2, in plain Keras
#
# Our BERT has two **transformer blocks**, one above the other. In each of them, every piece looks at all pieces of its text, and
# changes its 128 numbers by what it finds. So *bank* beside *river* gets other numbers than *bank* beside *money*.
#
# **Predict.** We open the top block, at a tenth of the rate. Which layers will have changed after that?
#
# <details><summary>Answer</summary>The top block and the head. BERT has LayerNorm and no BatchNorm. LayerNorm stores no means and
# variances, so nothing moves by itself.</details>

# %%
bert.trainable = True
for layer in bert.layers:
    layer.trainable = layer.name == "transformer_layer_1"
results["phase 2, top block"] = fit(model, 1e-3)
print(f"phase 2 {results['phase 2, top block']:.3f}")

# %% [markdown]
# **Checkpoint.**

# %%
moved = {change.path.split("/")[0] for change in tl.changed_layers(start, tl.snapshot(model))}
assert moved == {"transformer_layer_1", "head"}, "Only the top block and the head may have changed."

# %% [markdown]
# Is it better than the same network **from scratch**? Random weights, everything learns, and twice the epochs, because there is no
# phase 1.

# %%
fresh.trainable = True
results["from scratch"] = fit(add_head(fresh), 1e-3, epochs=30)
for way, accuracy in results.items():
    print(f"{way:20} {accuracy:.3f}")

# %% [markdown]
# ## 6. What five seeds say
#
# One run cannot put ways in order that are close (lesson 7). So `benchmarks/strategies/text.py` ran each way with five seeds and
# equal epochs, and chose the rates on validation texts. *all* opens all of BERT in phase 2.
#
# **Predict.** With 10, 50 or 200 labelled texts of each class: where will BERT be better than the bag of words?
#
# <details><summary>Answer</summary>Look at the picture. The bars are the intervals of the means.</details>

# %%
kept, sizes = json.loads((bundled_folder() / "strategies.json").read_text()), (10, 50, 200)
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
larger = "feature extraction, a larger BERT"
for place, way in enumerate(("bag of words", "feature extraction", "top block", "all", "from scratch", larger)):
    runs = [[run["test"] for run in kept[f"text, package, {size}, {way}"].values()] for size in sizes]
    half = [2.776 * np.std(run, ddof=1) / np.sqrt(len(run)) for run in runs]  # Student's t for five runs
    ax.errorbar(np.arange(3) + place / 20, np.mean(runs, 1), half, marker="os^dvX"[place], capsize=3, label=way)
ax.set(xticks=range(3), xticklabels=sizes, xlabel="labelled texts of each class", ylabel="accuracy on test texts")
legend = ax.legend(fontsize="small")

# %% [markdown]
# With 50 and 200 labels: the more of this BERT is open, the better. All of it open, no difference to the bag of words is shown.
#
# *A larger BERT* (MiniLM: six blocks of 384 numbers) was pre-trained on far more text. It is frozen here, and with 50 labels of
# each class it is better than the bag of words. So what a base has read counts, as with pictures. (It may have read docstrings like these: its
# makers name a collection of program code.)
#
# ## 7. The same with the helpers

# %%
small = data._replace(train=tl.data.make_dataset(np.array(texts, object), labels, 16, shuffle=True))
with warnings.catch_warnings(record=True) as said:
    model = tl.build_model("small_bert", small)
    tl.train_head(model, small, epochs=8, learning_rate=1e-2, verbose=0)
print(*{str(warning.message) for warning in said}, sep="\n")
tl.unfreeze_top(model, 1)
phase2 = tl.fine_tune(model, small, epochs=8, learning_rate=1e-3, verbose=0)
tl.save(model, "texts.keras", data.class_names)
for best in tl.predict("texts.keras", ["Draw a line between two points.", "Solve a system of linear equations."]):
    print([(answer.class_name, round(answer.probability, 2)) for answer in best])

# %% [markdown]
# Only `load_texts` and the name of the base differ from the helpers for pictures. The vocabulary is in the saved file.
#
# ## Break it on purpose
#
# Somebody has lost the vocabulary of this BERT, and makes one from the same pieces, in alphabetical order. There is no error.

# %%
sorted_tokenizer = keras_hub.models.BertTokenizer(sorted(tokenizer.get_vocabulary()))
pack_wrongly = keras_hub.models.BertTextClassifierPreprocessor(sorted_tokenizer, sequence_length=64)
bert = keras_hub.models.BertBackbone.from_preset(preset)
bert.trainable = False
wrong = fit(add_head(bert), 1e-2, pack=pack_wrongly)
print(f"phase 1 with its vocabulary {results['phase 1']:.3f}, in another order {wrong:.3f}")
for name, given in {"its vocabulary": tokenizer, "another order": sorted_tokenizer}.items():
    print(f"{name:15} two:", nearest_words(bert, given, "two"))

# %% [markdown]
# **Symptom**: the frozen BERT tells the head little. **Cause**: the ids belong to other pieces, so BERT reads another text. **Find it**:
# look at the words nearest to *two*. **Repair**: take network and tokenizer from one place. `tl.save` keeps both in one file. The same mistake with pictures is a wrong pixel
# scale (lesson 8).
#
# ## Exercises
#
# **Exercise 1 ★** How many of our training `texts` are too long for this BERT? Two of its 64 places are for `[CLS]` and `[SEP]`. Put the
# number into `cut`.

# %% tags=["exercise"]
cut = ...
# solution
cut = sum(len(ids) > 62 for ids in tokenizer(texts))
# wrong: len(texts)
# wrong: sum(len(text.split()) > 62 for text in texts)
# wrong: sum(len(text) > 62 for text in texts)
# wrong: 7

# %%
check(
    "Exercise 1",
    cut,
    lambda number: number == sum(len(ids) > 62 for ids in tokenizer(texts)),
    "Give `tokenizer` all texts. It gives a list of ids for each text.",
)

# %% [markdown]
# **Exercise 2 ★★** Write the pooling yourself, in NumPy. `pool(features, mask)` takes (texts, pieces, numbers) and (texts, pieces), 1 for
# text and 0 for padding. It gives (texts, numbers): the mean over the pieces that are text.

# %% tags=["exercise"]
pool = ...


# solution
def pool(features, mask):
    return (features * mask[..., None]).sum(1) / mask.sum(1)[:, None]


# wrong: lambda features, mask: features.mean(1)
# wrong: lambda features, mask: (features * mask[..., None]).mean(1)
# wrong: lambda features, mask: (features * mask[..., None]).sum(1)
# wrong: lambda features, mask: features[:, 0]
# wrong: 0.5

# %%
chance = np.random.default_rng(0)
given, mask = chance.normal(size=(3, 5, 4)), np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
expected = np.stack([row[: on.sum()].mean(0) for row, on in zip(given, mask, strict=True)])
check(
    "Exercise 2",
    pool,
    lambda f: np.allclose(f(given, mask), expected),
    "Padding times 0 is 0. Divide by the number of pieces that are text, for each text.",
)

# %% [markdown]
# **Exercise 3 ★★★** A word that stands only in texts of *one* class may be the answer itself: a leak. Write
# `giveaways(texts, labels, least)`. It gives the set of lower-case words (`text.lower().split()`) that are in `least` texts or more, all of
# one class.

# %% tags=["exercise"]
giveaways = ...


# solution
def giveaways(texts, labels, least):
    found = {}
    for text, label in zip(texts, labels, strict=True):
        for word in set(text.lower().split()):
            found.setdefault(word, []).append(int(label))
    return {word for word, classes in found.items() if len(classes) >= least and len(set(classes)) == 1}


# wrong: lambda texts, labels, least: set()
# wrong: lambda texts, labels, least: {word for text in texts for word in text.lower().split()}
# wrong: lambda texts, labels, least: {w for w in " ".join(texts).split() if sum(w in t.split() for t in texts) >= least}
# wrong: 3

# %%
said = ["The np array", "np np np sum", "a NP slice", "an axes", "the axes here", "the plot plot plot", "one array"]
whose = np.array([0, 0, 0, 1, 1, 1, 1])
check(
    "Exercise 3",
    giveaways,
    lambda f: set(f(said, whose, 2)) == {"np", "axes"} and set(f(said, whose, 3)) == {"np"},
    "Note for each word the labels of its texts, each text once. Then look for one class, and for enough texts.",
)

# %% [markdown]
# ## What you have seen
#
# - A text becomes token ids; then all goes on as with pictures. Padding fills the row, and the mask leaves it out.
# - The two phases work for BERT: the same switch, the same lower rate, the same proof of what moved.
# - Compare with a bag of words first. It takes a second, and here the small BERT does not beat it. A larger one does, with 50 labels a class.
#
# **Can you say it without looking?** What is a token id? What is the mask for? What is the "one additional output layer" in the words of
# this course?

# %% [markdown]
# **Read on:** Devlin and others, [BERT](https://arxiv.org/abs/1810.04805) (2018). Turc and others,
# [Well-Read Students Learn Better](https://arxiv.org/abs/1908.08962) (2019), on small BERTs. The measurements of this lesson, and a second
# task: docs/text.md in the project.
