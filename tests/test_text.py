"""Texts go through the same two phases as pictures. By effect: frozen bits, equality with plain Keras, loaded files."""

import csv
import json
import sys

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl import bert
from kerastl.__main__ import main
from kerastl.bases import bundled_folder
from kerastl.docstrings import Docstring, prose, read_docstrings
from kerastl.inputs import as_taken
from programs import ROOT, import_from
from tiers import slow

hub = pytest.importorskip("keras_hub", reason="texts need KerasHub: pip install kerastl[text]")

WORDS = [f"w{number}" for number in range(60)]


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory):
    """A BERT of two tiny blocks, without dropout so that `fit` can be compared, in the place of the bundled one."""
    folder = tmp_path_factory.mktemp("bundled")
    keras.utils.set_random_seed(0)
    backbone = hub.models.BertBackbone(
        vocabulary_size=65,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=16,
        dropout=0.0,
    )
    tokenizer = hub.models.BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS], lowercase=True)
    for part in (backbone, tokenizer):
        part.save_to_preset(folder / bert.BUNDLED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bert, "bundled_folder", lambda: folder)
        yield


def write_table(file, rows, columns=("text", "label")):
    with open(file, "w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([columns, *rows])
    return file


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two classes without a word in common."""
    chance = np.random.default_rng(0)
    rows = []
    for number in range(100):
        words = chance.integers(0, 30, size=chance.integers(3, 12)) + 30 * (number % 2)
        rows.append((" ".join(WORDS[word] for word in words), "ab"[number % 2]))
    return tl.load_texts(write_table(tmp_path_factory.mktemp("texts") / "texts.csv", rows))


def build(data, **arguments):
    keras.utils.set_random_seed(1)
    return tl.build_model("small_bert", data, dropout=0.0, **arguments)


def changed_by(train, model):
    before = tl.snapshot(model)
    train()
    return {change.path for change in tl.changed_layers(before, tl.snapshot(model))}


@pytest.mark.slow
def test_phase_1_moves_the_head_alone_and_phase_2_the_top_block_alone(data):
    model = build(data)
    moved = changed_by(lambda: tl.train_head(model, data, epochs=1, verbose=0), model)
    assert moved == {"classifier/kernel", "classifier/bias"}
    assert tl.unfreeze_top(model, 1).first_layer == "transformer_layer_1"
    moved = changed_by(lambda: tl.fine_tune(model, data, epochs=1, verbose=0), model)
    assert {path.split("/")[0] for path in moved} == {"transformer_layer_1", "classifier"}
    tl.unfreeze_top(model, "all")
    moved = changed_by(lambda: tl.fine_tune(model, data, epochs=1, verbose=0), model)
    assert {"token_embedding", "transformer_layer_0"} <= {path.split("/")[0] for path in moved}


@pytest.mark.parametrize("top", [1, *slow(None)])
def test_training_equals_that_of_plain_keras(data, top):
    ours, theirs = build(data), build(data)
    ids = data._replace(train=as_ids(ours, data.train), validation=as_ids(ours, data.validation))
    if top:
        tl.unfreeze_top(ours, top)
        tl.unfreeze_top(theirs, top)
    train = tl.fine_tune if top else tl.train_head
    train(ours, ids, epochs=3, learning_rate=keras.optimizers.SGD(0.1), verbose=0)

    # The engine shuffles what it kept by NumPy's chance; plain `fit` gets the batches in that order.
    keras.utils.set_random_seed(1)
    build(data)
    arrays = [np.concatenate(column) for column in zip(*ids.train.as_numpy_iterator(), strict=True)]
    theirs.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    for _ in range(3):
        order = np.random.permutation(len(arrays[1]))
        theirs.fit(arrays[0][order], arrays[1][order], batch_size=32, shuffle=False, verbose=0)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5)


def as_ids(model, dataset):
    """Token ids in an order that stays: whoever has them by hand makes such a dataset."""
    import tensorflow as tf

    texts, labels = (np.concatenate(column) for column in zip(*dataset.as_numpy_iterator(), strict=True))
    order = np.argsort(texts)
    ids = np.asarray(model.preprocessor([text.decode() for text in texts[order]])["token_ids"])
    return tf.data.Dataset.from_tensor_slices((ids, labels[order])).batch(32)


def test_padding_changes_nothing(data):
    short, long = (build(data, sequence_length=length) for length in (8, 16))
    long.set_weights(short.get_weights())
    said = [
        [row.probability for row in tl.predict(model, "w1 w2 w3", class_names=["a", "b"])] for model in (short, long)
    ]
    np.testing.assert_allclose(*said, rtol=1e-5)


def test_each_transformer_block_is_a_block(data):
    model = build(data)
    tl.unfreeze_top(model, 1)
    blocks = {block.name: block for block in tl.list_blocks(model).blocks}
    assert blocks["transformer_layer_1"].frozen == blocks["transformer_layer_0"].trainable == 0
    assert blocks["transformer_layer_1"].trainable == blocks["transformer_layer_0"].frozen > 0


def test_a_saved_model_takes_texts_with_its_vocabulary(data, tmp_path):
    model = build(data)
    tl.train_head(model, data, epochs=20, learning_rate=0.1, verbose=0)
    result = tl.evaluate(model, data.test)
    assert result.accuracy > 0.55  # of two classes: it has learned something
    assert str(result).endswith(f"on {len(result.labels)} texts")
    file = tl.save(model, tmp_path / "texts.keras", data.class_names)
    loaded = tl.load(file)
    again = tl.evaluate(loaded.model, data.test)
    np.testing.assert_allclose(again.probabilities, result.probabilities, atol=1e-5)
    texts = [text.decode() for text in next(data.test.as_numpy_iterator())[0]]
    said = tl.predict(loaded, texts)
    assert [rows[0].class_name for rows in said] == ["ab"[label] for label in result.predictions]
    assert tl.predict(file, texts[0])[0].class_name == said[0][0].class_name
    plain = keras.models.load_model(file)  # without kerastl
    ids = np.asarray(model.preprocessor(texts)["token_ids"])
    np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (plain(ids), model(ids))), atol=1e-6)


@pytest.mark.parametrize("top", [0, 1, "all"])
def test_what_was_frozen_is_frozen_after_loading_for_plain_keras_too(data, tmp_path, top):
    model = build(data)
    if top:
        tl.unfreeze_top(model, top)
    loaded = tl.load(tl.save(model, tmp_path / "texts.keras", data.class_names)).model
    for ours in (model, loaded):
        ours.compile(keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    train = as_taken(model, data.train)
    learns = [changed_by(lambda ours=ours: ours.fit(train, verbose=0), ours) for ours in (model, loaded)]
    assert learns[0] == learns[1]
    assert [len(ours.trainable_weights) for ours in (model, loaded)] == [len(model.trainable_weights)] * 2


def test_a_table_of_copies_has_no_text_in_two_parts(tmp_path):
    rows = [(f"text {number % 15}", "ab"[number % 15 % 2]) for number in range(60)] + [("both", "a"), ("both", "b")]
    with pytest.warns(UserWarning, match="47 of 62 texts are left out: copies, and 1 with more than one label"):
        texts = tl.load_texts(write_table(tmp_path / "texts.csv", rows))
    found = [set(np.concatenate([texts for texts, _ in part.as_numpy_iterator()])) for part in texts[:3]]
    assert sum(map(len, found)) == len(set.union(*found)) == 15


def test_a_text_with_an_odd_line_break_stays_whole(tmp_path):
    rows = [(f'one\u2028two\x85three {number},\n"four"', "ab"[number % 2]) for number in range(20)]
    texts = tl.load_texts(write_table(tmp_path / "texts.csv", rows))
    found = [text.decode() for part in texts[:3] for batch, _ in part.as_numpy_iterator() for text in batch]
    assert sorted(found) == sorted(text for text, _ in rows)


def test_what_a_mac_puts_beside_a_text_is_no_text(tmp_path):
    for name in ("no", "yes"):
        (tmp_path / name / "deeper").mkdir(parents=True)
        (tmp_path / name / "._0.txt").write_text("hidden", encoding="utf-8")
        for number in range(5):
            (tmp_path / name / f"{number}.TXT").write_text(f"{name} {number}", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"holds folders \(deeper\)"):
        texts = tl.load_texts(tmp_path)
    assert sum(len(labels) for part in texts[:3] for _, labels in part) == 10
    (tmp_path / "no" / "9.txt").write_bytes("seven".encode("utf-16-le"))
    with pytest.warns(UserWarning, match="folders"), pytest.raises(ValueError, match=r"9\.txt' holds bytes of 0"):
        tl.load_texts(tmp_path)


@pytest.mark.slow
def test_a_model_of_texts_is_trained_further_after_loading(data, tmp_path):
    model = tl.load(tl.save(build(data), tmp_path / "texts.keras", data.class_names)).model
    assert changed_by(lambda: tl.train_head(model, data, epochs=1, verbose=0), model) == {
        "classifier/kernel",
        "classifier/bias",
    }


PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


@pytest.mark.parametrize(
    "vocabulary",
    [
        ["a"],
        PIECES[::-1],
        [*PIECES[:-1], PIECES[-2]],
        [*PIECES[:-1], "two\nlines"],
        [*PIECES[:-1], "\ud800"],
        [*PIECES[:-1], 7],
        ["[PAD]", *(f"x{number}" for number in range(64))],
        None,
    ],
)
def test_a_file_whose_vocabulary_cannot_be_that_of_the_model_is_refused(data, tmp_path, monkeypatch, vocabulary):
    from kerastl import saving

    settings = {"vocabulary": vocabulary, "lowercase": True, "strip_accents": False}
    monkeypatch.setattr(saving, "write_tokenizer", lambda model: settings)
    file = tl.save(build(data), tmp_path / "texts.keras", data.class_names)
    with pytest.raises(ValueError, match="vocabulary is not that of the model"):
        tl.load(file)


def test_the_vocabulary_of_the_bundled_bert_is_one(data, tmp_path, monkeypatch):
    monkeypatch.setattr(bert, "bundled_folder", bundled_folder)
    file = tl.save(build(data), tmp_path / "texts.keras", data.class_names)
    assert tl.load(file).model.preprocessor.tokenizer.vocabulary_size() > 5000


def test_a_table_with_an_open_quotation_mark_is_refused_and_not_swallowed(tmp_path):
    (tmp_path / "table.csv").write_text('label,text\na,"oh\nb,no\na,yes\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"is no table: .*quotation mark"):
        tl.load_texts(tmp_path / "table.csv")


def test_the_command_line_says_what_it_knows_of_texts(data, tmp_path, capsys):
    file = str(tl.save(build(data), tmp_path / "texts.keras", data.class_names))
    assert not main(["inspect", file])
    assert "texts of up to 14 word pieces" in capsys.readouterr().out
    picture = tmp_path / "a.png"
    picture.write_bytes(b"none")
    assert main(["predict", file, str(picture)]) == 2
    assert "takes texts, and the command line knows only pictures" in capsys.readouterr().err
    assert main(["train", "docstrings", "--base", "small_bert", "--out", str(tmp_path / "run")]) == 2
    assert "It may be one for texts" in capsys.readouterr().err


def test_without_weights_it_begins_at_random(data):
    own, random = build(data), build(data, weights=None)
    first = own.get_layer("bert_backbone").get_layer("token_embedding").get_weights()[0]
    assert not np.array_equal(first, random.get_layer("bert_backbone").get_layer("token_embedding").get_weights()[0])


def test_texts_that_are_too_long_are_counted_once(data):
    with pytest.warns(UserWarning, match=r"of 100 texts are longer than the 6 word pieces") as met:
        model = build(data, sequence_length=8)
    assert len(met) == 1
    with pytest.warns(UserWarning, match="1 of 2 texts are longer"):
        tl.predict(model, ["w1", "w1 " * 9], class_names=["a", "b"])


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        ([("one", "a"), (" ", "b")], ("text", "label"), r"1 of 2 rows .* have no text \(row 2"),
        ([("one", "a"), ("two", "")], ("text", "label"), r"1 of 2 rows .* have no label \(row 2"),
        ([("one", "a")], ("words", "label"), r"has the columns words, label.*one text, one label"),
        ([("one", "a", "b")], ("text", "label", "label"), r"has the columns text, label, label"),
        ([("one", "a"), ("two", " yes", "b")], ("text", "label"), r"1 of 2 rows .* more values than .* \(row 2"),
        ([("one", "a"), ("two", "a")], ("text", "label"), r"has 1 class \(a\)"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path, rows, columns, said):
    with pytest.raises(ValueError, match=said):
        tl.load_texts(write_table(tmp_path / "table.csv", rows, columns))


def test_a_folder_of_class_folders_is_read(tmp_path):
    for label in ("no", "yes"):
        (tmp_path / label).mkdir()
        for number in range(10):
            (tmp_path / label / f"{number}.txt").write_text(f"{label} {number}", encoding="utf-8")
    texts = tl.load_texts(tmp_path)
    assert texts.class_names == ["no", "yes"]
    found = [set(np.concatenate([texts for texts, _ in part.as_numpy_iterator()])) for part in texts[:3]]
    assert sum(map(len, found)) == len(set.union(*found)) == 20  # no text is in two parts
    (tmp_path / "no" / "3.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"3\.txt' holds no text"):
        tl.load_texts(tmp_path)


def test_mistakes_are_told(data, monkeypatch):
    model = build(data)
    with pytest.raises(ValueError, match="Received an empty text"):
        tl.predict(model, ["w1", " "], class_names=["a", "b"])
    with pytest.raises(ValueError, match=r"Unknown base for texts: 'bert_tiny_en'.*Did you mean bert_tiny_en_uncased"):
        tl.build_model("bert_tiny_en", data)
    with pytest.raises(TypeError, match="takes only sequence_length"):
        build(data, alpha=0.35)
    with pytest.raises(ValueError, match="reads 3 to 16 word pieces"):
        build(data, sequence_length=17)
    with pytest.raises(ValueError, match="holds images, the model takes texts"):
        tl.evaluate(model, tl.load_images("drawn_species", image_size=32).test)
    with pytest.raises(FileNotFoundError, match="There is no folder or table"):
        tl.load_texts("nowhere")
    with pytest.raises(ValueError, match="Received an empty name"):
        tl.load_texts("")
    ids = as_taken(model, data.test).map(lambda ids, labels: (ids - 9, labels))
    with pytest.raises(ValueError, match="Some token ids are below 0"):
        tl.evaluate(model, ids)
    short = as_taken(model, data.test).map(lambda ids, labels: (ids[:, :8], labels))
    with pytest.raises(ValueError, match="token ids are 8, the model takes 16"):
        tl.evaluate(model, short)
    with pytest.raises(ValueError, match="takes texts, which are not augmented"):
        tl.without_augmentation(model)
    with pytest.raises(TypeError, match="The data hold texts, and 'MobileNetV2' takes images"):
        tl.build_model("MobileNetV2", tl.ImageData(*data))
    with pytest.raises(ValueError, match="validation_split='a'"):
        tl.load_texts("docstrings", validation_split="a")
    for plot in (tl.plot_images, lambda data: tl.plot_mistakes(tl.evaluate(model, data.test), data)):
        with pytest.raises(TypeError, match=r"Received TextData.*as_arrays\(data\.t"):
            plot(data)
    with pytest.raises(ValueError, match=r"Expected .* colour pictures"):
        tl.grad_cam(model, np.zeros((8, 8, 3)), class_names=data.class_names)
    monkeypatch.setattr(hub.models.BertBackbone, "from_preset", lambda *_, **__: 1 / 0)
    with pytest.raises(
        ConnectionError, match=r"could not download 'bert_tiny_en_uncased'.*'small_bert', which is bundled"
    ):
        tl.build_model("bert_tiny_en_uncased", data)
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'kerastl\[text\]'"):
        build(data)


SOURCE = '''"""Of a module."""
class Wide:
    """Of a class."""
    def deep(self):
        """Of a method."""
        def inner():
            """Of a function."""
raise RuntimeError("nobody runs this")
'''


def test_docstrings_are_read_and_not_run(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "wide.py").write_text(SOURCE, encoding="utf-8")
    found = {docstring.kind: (docstring.text, docstring.name) for docstring in read_docstrings(tmp_path / "package")}
    assert found == {
        "module": ("Of a module.", "wide"),
        "class": ("Of a class.", "Wide"),
        "method": ("Of a method.", "deep"),
        "function": ("Of a function.", "inner"),
    }


def test_prose_ends_before_parameters_and_names_no_package():
    text = "Return `values` of a :class:`Figure`, as numpy.sum does in SciPy.\n\nParameters\n----------\nx : array\n"
    assert prose(Docstring(text, "values", "function", "a.py")) == "Return of a Figure, as does in"
    assert prose(Docstring("Adds two numbers.\n\nArgs:\n    x: one", "f", "function", "a.py")) == "Adds two numbers."


def test_the_bundled_bert_was_pre_trained_without_the_packages_of_the_task():
    from kerastl.bases import bundled_folder
    from kerastl.docstrings import PACKAGES

    record = json.loads((bundled_folder() / "small_bert" / "training.json").read_text())
    assert set(record["left_out"]) == set(PACKAGES)
    assert not {"keras", "numpy", "scipy", "scikit-learn"} & {name.lower() for name in record["packages"]}
    assert record["held_out_accuracy"] > 2 * record["most_frequent_piece_accuracy"]


def test_the_tables_in_the_page_are_those_of_the_runs():
    import_from("data/make", "results")
    runs, text = import_from("benchmarks/strategies", "runs", "text")
    found, page = runs.read_runs(), (ROOT / "docs" / "text.md").read_text()
    assert "\n".join([*text.table(found), "", *text.comparisons(found), "", *text.more_open(found)]) in page


# What is shown to differ from the bag of words, by the sign of the difference; of all else the page says: not shown.
BESIDE_WORDS = {
    ("package", 10): {"feature extraction": -1, "feature extraction, random weights": -1},
    ("package", 50): {
        "feature extraction": -1,
        "feature extraction, random weights": -1,
        "feature extraction, a larger BERT": 1,
        "top block": -1,
    },
    ("package", 200): {
        "feature extraction": -1,
        "feature extraction, random weights": -1,
        "top block": -1,
        "from scratch": -1,
    },
    ("kind", 10): {},
    ("kind", 50): {
        "feature extraction": -1,
        "feature extraction, random weights": -1,
        "feature extraction, a larger BERT": 1,
    },
    ("kind", 200): {"feature extraction": -1, "feature extraction, random weights": -1},
}


@pytest.fixture(scope="module")
def measured():
    import_from("data/make", "results")
    runs, text = import_from("benchmarks/strategies", "runs", "text")
    return runs, text, runs.read_runs()


@pytest.mark.parametrize("problem", BESIDE_WORDS)
def test_what_the_page_says_of_the_bag_of_words_holds(measured, problem):
    runs, text, found = measured
    name = "text, {}, {}, ".format(*problem)
    whole = [name + way for way in text.WAYS if way != text.WORDS and text.is_whole(found, name + way)]
    tests = runs.paired_tests(found, name + text.WORDS, whole, "test")
    shown = {way.removeprefix(name): np.sign(gain) for way, gain, p in tests if p < 0.05}
    assert shown == BESIDE_WORDS[problem]
    features, random = (runs.collect(found, name + way)["test"].mean() for way in (text.FEATURES, text.RANDOM))
    assert features > random


def test_what_the_page_says_of_opening_more_of_bert_holds(measured):
    runs, text, found = measured
    gains = {}
    for count in text.EPOCHS:
        for first, way in (text.FEATURES, "top block"), ("top block", "all"), ("from scratch", "all"):
            names = [f"text, package, {count}, {which}" for which in (first, way)]
            ((_, gain, p),) = runs.paired_tests(found, names[0], names[1:], "test")
            gains[count, first] = (gain > 0, bool(p < 0.05))
    assert all(positive for positive, _ in gains.values())
    assert [case for case, (_, shown) in gains.items() if not shown] == [
        (10, "top block"),
        (10, "from scratch"),
        (50, "from scratch"),
    ]
    lags = [
        np.subtract(
            *(
                runs.collect(found, f"text, package, {count}, {way}")["test"].mean()
                for way in (text.WORDS, text.FEATURES)
            )
        )
        for count in text.EPOCHS
    ]
    assert lags == sorted(lags)


def test_what_the_page_says_of_the_top_block_beside_from_scratch_holds(measured):
    runs, _, found = measured
    names = {count: [f"text, package, {count}, {way}" for way in ("from scratch", "top block")] for count in (50, 200)}
    tests = {count: runs.paired_tests(found, first, [way], "test")[0][1:] for count, (first, way) in names.items()}
    assert tests[50][1] > 0.05  # no difference is shown
    assert tests[200][0] < 0
    assert tests[200][1] < 0.05


def test_what_the_page_says_of_the_test_texts_holds(measured):
    _, text, _ = measured
    _, labels, rows, class_names = text.texts("kind")
    share = np.bincount(labels[rows["test"]]) / len(rows["test"])
    assert class_names[share.argmax()] == "function"
    assert share.max() == pytest.approx(0.51, abs=0.02)  # other versions of the packages have other texts
    said, _, rows, _ = text.texts("package")
    (small_bert,) = import_from("data/make", "small_bert")
    eights = {part: [small_bert.words_in_a_row(said[row], 8) for row in rows[part]] for part in ("train", "test")}
    known = set.union(*eights["train"])
    assert 0.05 < np.mean([bool(found & known) for found in eights["test"]]) < 0.15


def test_texts_in_common_with_the_task_are_left_out_of_pre_training(tmp_path):
    (small_bert,) = import_from("data/make", "small_bert")
    shared = "One two three four five six seven eight nine ten eleven twelve"
    said = dict.fromkeys(small_bert.PACKAGES, f"Before. {shared}.") | {
        "near": f"It says: {shared}, and more.",
        "far": shared.removesuffix(" twelve"),
        "copy": shared.removesuffix(" twelve"),
    }
    for name, text in said.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f'"""{text}"""\n', encoding="utf-8")
    found, left_out = small_bert.read_packages([tmp_path])
    assert found == {"copy": [("copy/__init__.py", said["copy"])]}  # the first in the order of names
    assert left_out == {"in common with the task": 1, "met before": 1}
