"""Small backbones of KerasHub for pictures, one of each family that `kerastl.load` knows; none is pre-trained."""

SHAPE = (64, 64, 3)
_PATCHES = {"patch_size": 16, "num_layers": 3, "hidden_dim": 16, "num_heads": 2, "image_shape": SHAPE}
_PYRAMID = {"num_layers": 2, "hidden_dims": [16, 32], "image_shape": SHAPE, "max_drop_path_rate": 0.0}
_BOTTLENECKS = {
    "stackwise_expansion": [[16], [16, 16]],
    "stackwise_num_blocks": [1, 2],
    "stackwise_num_filters": [[8], [8, 8]],
    "stackwise_kernel_size": [[3], [3, 3]],
    "stackwise_num_strides": [[2], [2, 1]],
    "stackwise_se_ratio": [[None], [0.25, 0.25]],
    "stackwise_activation": [["relu"], ["hard_swish", "hard_swish"]],
    "stackwise_padding": [[1], [1, 1]],
    "output_num_filters": 16,
    "depthwise_filters": 8,
    "depthwise_stride": 1,
    "depthwise_residual": False,
    "last_layer_filter": 16,
    "squeeze_and_excite": 0.5,
    "input_num_filters": 8,
    "input_activation": "hard_swish",
    "output_activation": "hard_swish",
    "image_shape": SHAPE,
}


def _of_pyramid(network):
    """The last of a backbone's features, where it gives several."""
    import keras

    return keras.Model(network.input, list(network.output.values())[-1], name=network.name)


def _models():
    import keras_hub

    return keras_hub.models


def _siglip():
    from keras_hub.src.models.siglip.siglip_vision_encoder import SigLIPVisionEncoder

    return SigLIPVisionEncoder(**_PATCHES, intermediate_dim=32)


def _clip():
    from keras_hub.src.models.clip.clip_vision_encoder import CLIPVisionEncoder

    return CLIPVisionEncoder(**_PATCHES, intermediate_dim=32)


BACKBONES = {
    "ViT": lambda: _models().ViTBackbone(**_PATCHES, mlp_dim=32),
    "ViT without a class token": lambda: _models().ViTBackbone(**_PATCHES, mlp_dim=32, use_class_token=False),
    "DeiT": lambda: _models().DeiTBackbone(**_PATCHES, intermediate_dim=32),
    "DINOv2": lambda: _models().DINOV2Backbone(**_PATCHES, intermediate_dim=32, num_register_tokens=4),
    "DINOv3": lambda: _models().DINOV3Backbone(**_PATCHES, intermediate_dim=32),
    "SigLIP": _siglip,
    "CLIP": _clip,
    "MiT": lambda: _models().MiTBackbone(
        **_PYRAMID,
        layerwise_depths=[2, 1],
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
    ),
    "Swin": lambda: _models().SwinTransformerBackbone(
        image_shape=SHAPE, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[1, 2], window_size=4
    ),
    "MobileNet": lambda: _models().MobileNetBackbone.from_config(_BOTTLENECKS),
    "EfficientNet": lambda: _models().EfficientNetBackbone(
        stackwise_width_coefficients=[1.0, 1.0],
        stackwise_depth_coefficients=[1.0, 1.0],
        stackwise_squeeze_and_excite_ratios=[0.25, 0.25],
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[1, 1],
        stackwise_input_filters=[8, 8],
        stackwise_output_filters=[8, 16],
        stackwise_expansion_ratios=[1, 6],
        stackwise_strides=[1, 2],
        stackwise_block_types=["v1", "v1"],
        image_shape=SHAPE,
    ),
    "VGG": lambda: _models().VGGBackbone(
        stackwise_num_repeats=[1, 1], stackwise_num_filters=[8, 16], image_shape=SHAPE
    ),
    "ResNet": lambda: _models().ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=SHAPE,
    ),
    "DenseNet": lambda: _models().DenseNetBackbone(
        stackwise_num_repeats=[1, 1], compression_ratio=0.5, growth_rate=8, image_shape=SHAPE
    ),
    "Xception": lambda: _models().XceptionBackbone(
        stackwise_conv_filters=[[8, 8], [8, 8]], stackwise_pooling=[True, False], image_shape=SHAPE
    ),
    "HGNetV2": lambda: _of_pyramid(
        _models().HGNetV2Backbone(
            depths=[1, 1],
            embedding_size=8,
            hidden_sizes=[16, 32],
            stem_channels=[3, 8, 8],
            hidden_act="relu",
            use_learnable_affine_block=False,
            stackwise_stage_filters=[[8, 8, 16, 1, 2, 3], [16, 8, 32, 1, 2, 3]],
            apply_downsample=[False, True],
            use_lightweight_conv_block=[False, False],
            image_shape=SHAPE,
        )
    ),
}
OPENED = {  # of these every block can be unfrozen by itself; Keras could not load the parts of the others again
    name for name in BACKBONES if name not in ("DeiT", "MiT", "Swin")
}
