"""BERT for texts, by KerasHub: the network as a base like any other, and what makes token ids of texts.

KerasHub is not needed for pictures: `pip install 'kerastl[text]'`.
"""

import warnings

import keras

from kerastl.bases import bundled_folder, suggest
from kerastl.calls import call_again
from kerastl.checks import is_whole, list_some
from kerastl.extras import import_extra
from kerastl.graph import find_base_model, run_order

BUNDLED = "small_bert"  # pre-trained by data/make/small_bert.py
LENGTH = 128  # word pieces that a text may have, unless somebody says otherwise, where the base takes more
_SETTINGS = ("lowercase", "strip_accents")  # of a tokenizer, beside its vocabulary


def import_keras_hub():
    """KerasHub. Raises ImportError that says how to install it."""
    return import_extra("keras_hub", "text")


def find_bert(name: str, pre_trained: bool = True) -> tuple:
    """(backbone, tokenizer) of a BERT: the bundled one, or a preset of KerasHub, which is downloaded once.

    Raises:
        ValueError: no BERT has this name.
        ConnectionError: the preset could not be downloaded.
    """
    models = import_keras_hub().models
    if name != BUNDLED and name not in models.BertBackbone.presets:
        near = suggest(name, [BUNDLED, *models.BertBackbone.presets])
        raise ValueError(f"Unknown base for texts: {name!r}. Expected {BUNDLED!r} or a BERT of KerasHub. {near}")
    preset = str(bundled_folder() / BUNDLED) if name == BUNDLED else name
    try:
        backbone = models.BertBackbone.from_preset(preset, load_weights=pre_trained)
        return backbone, models.BertTokenizer.from_preset(preset)
    except Exception as error:
        if name == BUNDLED:
            raise
        raise ConnectionError(
            f"KerasHub could not download {name!r} ({type(error).__name__}: {str(error).strip()[:120]}). "
            f"Check the connection. Or use {BUNDLED!r}, which is bundled."
        ) from error


def flatten(backbone: keras.Model, length: int) -> keras.Model:
    """BERT as one network from token ids, int32 (batch, length), to features, float32 (batch, length, hidden).

    KerasHub's takes three inputs; here the padding mask and the segments are made from the ids: 0 is padding, and all
    is one segment. The features of padding are 0. Each transformer block is one layer, the backbone's own.
    """
    ids = keras.Input((length,), dtype="int32", name="token_ids")
    mask = keras.ops.cast(keras.ops.not_equal(ids, 0), "int32")
    given = {"token_ids": ids, "segment_ids": keras.ops.zeros_like(ids), "padding_mask": mask}
    tensors = {id(tensor): given[name] for name, tensor in backbone.input.items()}
    call_again(run_order(backbone), tensors)
    features = tensors[id(backbone.output["sequence_output"])]
    features = features * keras.ops.expand_dims(mask, -1)
    return keras.Model(ids, features, name=backbone.name)


def build_bert(name: str, weights, augment, arguments: dict) -> tuple:
    """Symbolic token ids, the pooled features that a new base makes of them, and the preprocessor.

    Args, errors: as for `kerastl.build_model`.
    """
    if weights not in (None, "imagenet"):
        raise ValueError(
            f"Received weights={weights!r}. For texts, expected None for random weights; or leave it out, for the "
            f"weights that belong to {name!r}."
        )
    if augment is not True and augment is not False:
        raise ValueError(f"Received augment={augment!r}. Texts are not augmented: leave it out.")
    if arguments.keys() - {"sequence_length"}:
        raise TypeError(f"Received {list_some(list(arguments))}. For texts, {name!r} takes only sequence_length.")
    backbone, tokenizer = find_bert(name, pre_trained=weights is not None)
    most = backbone.max_sequence_length
    length = arguments.get("sequence_length", min(most, LENGTH))
    if not (is_whole(length, least=3) and length <= most):
        raise ValueError(f"Received sequence_length={length!r}. {name!r} reads 3 to {most} word pieces of a text.")
    base = flatten(backbone, length)
    ids = keras.Input((length,), dtype="int32", name="token_ids")
    features = keras.layers.Masking(name="padding")(base(ids))  # 0 everywhere is padding: the mean leaves it out
    return ids, keras.layers.GlobalAveragePooling1D(name="pool")(features), make_preprocessor(tokenizer, length)


def make_preprocessor(tokenizer, length: int) -> keras.layers.Layer:
    """KerasHub's layer from texts to what BERT takes: word pieces in [CLS] and [SEP], cut or padded to a length."""
    return import_keras_hub().models.BertTextClassifierPreprocessor(tokenizer, sequence_length=length)


def warn_of_long_texts(model: keras.Model, batches) -> None:
    """Warn, once, of texts, in batches of strings, of which the model reads only the beginning."""
    room = model.input_shape[1] - 2  # beside [CLS] and [SEP]
    lengths = [len(ids) for texts in batches for ids in model.preprocessor.tokenizer(texts)]
    long = sum(length > room for length in lengths)
    if long:
        warnings.warn(
            f"{long:,} of {len(lengths):,} texts are longer than the {room} word pieces that the model reads; their "
            "ends are left out.",
            stacklevel=3,
        )


def write_tokenizer(model: keras.Model) -> dict:
    """What `read_tokenizer` needs, as JSON can hold it."""
    tokenizer = model.preprocessor.tokenizer
    return {"vocabulary": tokenizer.get_vocabulary(), **{name: getattr(tokenizer, name) for name in _SETTINGS}}


def read_tokenizer(found, model: keras.Model) -> keras.layers.Layer:
    """The preprocessor of a model from what `write_tokenizer` gave. Raises ValueError when that is damaged."""
    found = found if isinstance(found, dict) else {}
    vocabulary, settings = found.get("vocabulary"), {name: found.get(name) for name in _SETTINGS}
    pieces = isinstance(vocabulary, list) and all(map(_is_piece, vocabulary)) and len({*vocabulary}) == len(vocabulary)
    pieces = pieces and vocabulary[:1] == ["[PAD]"] and {"[UNK]", "[CLS]", "[SEP]"} <= {*vocabulary}  # 0 is padding
    known = [layer.input_dim for layer in find_base_model(model).layers if layer.name == "token_embedding"]
    if not pieces or known != [len(vocabulary)] or not all(isinstance(value, bool) for value in settings.values()):
        raise ValueError("Its vocabulary is not that of the model.")
    return make_preprocessor(import_keras_hub().models.BertTokenizer(vocabulary, **settings), model.input_shape[1])


def _is_piece(piece) -> bool:
    """Whether something can be a word piece: letters on one line (or none), and no half of a letter."""
    return isinstance(piece, str) and len(piece.splitlines()) < 2 and piece == piece.encode("utf-8", "ignore").decode()
