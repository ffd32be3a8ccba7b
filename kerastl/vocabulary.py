"""The names that a model's file may use: Keras builds what they stand for, so everything else is refused unseen."""

import math

# Keras's own safe mode has let code through again and again. Here nothing is searched for evil: a name stands in this
# table or is refused. What is in it computes with numbers: it reads no file, takes no function, and imports nothing.
# tests/test_vocabulary.py shows that it suffices for every base.
_CLASS_NAMES = {
    "keras": "Sequential DTypePolicy",
    "keras.src.models.functional": "Functional",
    "keras.layers": """
        Activation Add AlphaDropout Average AveragePooling2D BatchNormalization CenterCrop Concatenate Conv1D Conv2D
        Conv2DTranspose Cropping2D Dense DepthwiseConv2D Dropout ELU Flatten GaussianDropout GaussianNoise
        GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D GroupNormalization Identity
        InputLayer LayerNormalization LeakyReLU Maximum MaxPooling2D Minimum MultiHeadAttention Multiply Normalization
        Permute PReLU RandomBrightness RandomContrast RandomCrop RandomErasing RandomFlip RandomHue RandomRotation
        RandomSaturation RandomShear RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape Resizing
        SeparableConv2D Softmax SpatialDropout2D Subtract UnitNormalization UpSampling2D ZeroPadding2D
        ActivityRegularization AugMix AutoContrast EinsumDense Equalization MaxPooling1D
        RandAugment RandomColorDegeneration RandomColorJitter RandomElasticTransform RandomGaussianBlur RandomGrayscale
        RandomInvert RandomPerspective RandomPosterization RandomSharpness RMSNormalization Solarization
        Embedding Masking ReversibleEmbedding
    """,
    "keras_hub.src.layers.modeling.position_embedding": "PositionEmbedding",
    "keras_hub.src.layers.modeling.transformer_encoder": "TransformerEncoder",
    # Backbones for pictures, opened as far as they can be (kerastl/backbones.py).
    "keras_hub.src.models.clip.clip_layers": "CLIPEncoderLayer CLIPVisionEmbedding",
    "keras_hub.src.models.deit.deit_backbone": "DeiTBackbone",
    "keras_hub.src.models.dinov2.dinov2_layers": "DINOV2Embedding DINOV2Layer",
    "keras_hub.src.models.dinov3.dinov3_layers": "DINOV3Embedding DINOV3Layer DINOV3RopePositionEmbedding",
    "keras_hub.src.models.hgnetv2.hgnetv2_layers": "HGNetV2ConvLayer HGNetV2Stage",
    "keras_hub.src.models.mit.mit_backbone": "MiTBackbone",
    "keras_hub.src.models.mobilenet.mobilenet_backbone": """
        ConvBnActBlock DepthwiseConvBlock InvertedResidualBlock SqueezeAndExcite2D
    """,
    "keras_hub.src.models.siglip.siglip_layers": """
        SigLIPEncoderLayer SigLIPMultiHeadAttentionPooling SigLIPVisionEmbedding
    """,
    "keras_hub.src.models.swin_transformer.swin_transformer_backbone": "SwinTransformerBackbone",
    "keras_hub.src.models.vit.vit_layers": "ViTEncoderBlock ViTPatchingAndEmbedding",
    "keras.src.applications.convnext": "LayerScale",
    "keras.src.applications.inception_resnet_v2": "CustomScaleLayer",
    "keras.src.ops.core": "Cast",
    "keras.src.ops.image": "RGBToGrayscale Resize",
    "keras.src.ops.nn": """
        Elu Gelu HardSigmoid HardSilu LeakyRelu LogSoftmax Normalize Relu Relu6 Sigmoid Silu Softmax Softplus
    """,
    "keras.src.ops.numpy": """
        Absolute Add Any Clip Concatenate Divide Exp ExpandDims Flip GetItem Log Matmul Max Maximum Mean Min Minimum
        Multiply Negative NotEqual Pad Power Reshape Sqrt Square Squeeze Stack Std Subtract Sum Tanh Transpose
        TrueDivide ZerosLike
    """,
    "keras.initializers": """
        Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal
        RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
    """,
    "keras.regularizers": "L1 L1L2 L2 OrthogonalRegularizer",
    "keras.constraints": "MaxNorm MinMaxNorm NonNeg UnitNorm",
    "keras.optimizers": """
        Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer Muon Nadam RMSprop SGD
    """,
    "keras.optimizers.schedules": """
        CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay
    """,
    "keras.losses": """
        BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalFocalCrossentropy
        SparseCategoricalCrossentropy
    """,
    "keras.metrics": """
        AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy F1Score
        FBetaScore FalseNegatives FalsePositives IoU Mean MeanIoU OneHotIoU OneHotMeanIoU Precision PrecisionAtRecall
        Recall RecallAtPrecision SensitivityAtSpecificity SparseCategoricalAccuracy SparseCategoricalCrossentropy
        SparseTopKCategoricalAccuracy SpecificityAtSensitivity TopKCategoricalAccuracy TrueNegatives TruePositives
    """,
}
_FUNCTION_NAMES = """
    binary_accuracy binary_crossentropy categorical_accuracy categorical_crossentropy elu gelu hard_sigmoid hard_silu
    leaky_relu linear relu relu6 sigmoid silu softmax sparse_categorical_accuracy sparse_categorical_crossentropy
    sparse_top_k_categorical_accuracy tanh top_k_categorical_accuracy keras_hub>gelu_approximate
"""
_CLASSES = {module: frozenset(names.split()) for module, names in _CLASS_NAMES.items()}
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_FUNCTION_MODULES = frozenset({"builtins", "keras.activations", "keras.losses", "keras.metrics"})  # where Keras looks
# Values that JSON cannot hold: Keras writes each as a class of its own, without a module. These are plain data. Not
# here: "__lambda__", which holds code, and "__typespec__", which names a class.
_VALUES = frozenset({"__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"})
_ARRAYS = frozenset({"__numpy__", "__tensor__"})  # these say of what (dtype): of _NUMBERS only
_NUMBERS = frozenset({"bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64"})
_NAMING = frozenset({"class_name", "registered_name", "spec_name"})  # a dict with one of these is built, not just read
_DEEPEST = 50  # every base needs 14 or fewer
_LONGEST = 1000  # letters in a text; Keras copies the names of layers into the names of all that is made from them
_MOST_LAYERS = 5000  # of all bases NASNetLarge has the most, 1,039


def check_config(config) -> None:
    """Raise ValueError unless `config`, as JSON gives it, is a model in which every name stands in the table."""
    if not isinstance(config, dict) or config.get("class_name") not in ("Functional", "Sequential"):
        raise ValueError("describes no Functional or Sequential model")
    layers = 0
    for value in _inside(config):
        if isinstance(value, str) and len(value) > _LONGEST:
            raise ValueError(f"holds a text of {len(value):,} letters, {value[:20]!r}…")
        if _names(value) and not _is_known(value):
            raise ValueError(f"names {_said(value)}, which is not known to be harmless")
        if isinstance(value, dict):
            layers += "inbound_nodes" in value
            _check_calls(value.get("inbound_nodes"))
    if layers > _MOST_LAYERS:
        raise ValueError(f"describes {layers:,} layers. Expected {_MOST_LAYERS:,} or fewer")


def refused_names(config) -> list[dict]:
    """Every part of a config, however deep it lies, that names something which does not stand in the table."""
    named = (value for value in _inside(config, deepest=math.inf) if _names(value))
    return [value for value in named if not _is_known(value)]


def _names(value) -> bool:
    return isinstance(value, dict) and not _NAMING.isdisjoint(value)


def _inside(config, deepest: float = _DEEPEST):
    """All values of a config, itself included. No recursion: how deep it goes is not ours to choose."""
    waiting = [(config, 0)]
    while waiting:
        value, depth = waiting.pop()
        yield value
        if depth > deepest:
            raise ValueError(f"is nested deeper than {deepest} levels")
        if isinstance(value, dict):
            waiting += [(text, depth + 1) for text in value if isinstance(text, str)]
            waiting += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]


def _check_calls(nodes) -> None:
    """Raise ValueError when a layer is called on plain numbers alone: Keras would compute that while it loads."""
    for node in nodes if isinstance(nodes, list) else []:
        if not any(
            isinstance(value, dict) and value.get("class_name") == "__keras_tensor__" for value in _inside(node)
        ):
            raise ValueError("calls a layer on something else than the outputs of others")


def _is_known(named: dict) -> bool:
    """Whether what a part of a config names stands in the table."""
    module, name, registered, inner = (named.get(k) for k in ("module", "class_name", "registered_name", "config"))
    is_function = name == "function"
    name = inner if is_function else name
    if not isinstance(name, str) or not isinstance(module, str | None) or "spec_name" in named:
        return False
    hub = f"keras_hub>{name}" if str(module).startswith("keras_hub.") else None
    if registered not in (None, name, "function", hub):
        return False
    if is_function:
        return module in _FUNCTION_MODULES and name in _FUNCTIONS
    if module is None and name in _VALUES:
        return name not in _ARRAYS or (isinstance(inner, dict) and str(inner.get("dtype")) in _NUMBERS)
    return name in _CLASSES.get(module, ())


def _said(named: dict) -> str:
    """What a part of a config names, in words."""
    kind, name = ("function", "config") if named.get("class_name") == "function" else ("class", "class_name")
    registered = named.get("registered_name")
    said = f"{named.get('module')}.{named.get(name)}" + (f" ({registered})" if registered else "")
    return f"the {kind} {said[:100]!r}"
