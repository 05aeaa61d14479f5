"""ONNX operators that no array of multipliers runs: they move, choose, compare, scale or sum elements one by one.

Elementwise products, pooling, normalisation, interpolation and reductions do arithmetic too; it is left out, as every
count of "MACs of a network" leaves it out. What a workload left out is listed in it.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ELEMENTWISE = _words("""
Abs Acos Acosh Add And Asin Asinh Atan Atanh BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike
Ceil Celu Clip Cos Cosh Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf
IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu RotaryEmbedding
Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu Where Xor
""")

MOVING = _words("""
CenterCropPad Compress Concat Constant ConstantOfShape DepthToSpace Expand EyeLike Flatten Gather GatherElements
GatherND Identity NonZero OneHot Pad Range Reshape ReverseSequence Scatter ScatterElements ScatterND Shape Size Slice
SpaceToDepth Split Squeeze TensorScatter Tile Transpose Trilu Unique Unsqueeze
""")

POOLING_AND_REDUCING = _words("""
ArgMax ArgMin AveragePool CumProd CumSum GlobalAveragePool GlobalLpPool GlobalMaxPool Hardmax LogSoftmax LpPool
MaxPool MaxRoiPool MaxUnpool NonMaxSuppression ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
ReduceMin ReduceProd ReduceSum ReduceSumSquare Softmax TopK
""")

NORMALISING = _words("""
BatchNormalization GroupNormalization InstanceNormalization LRN LayerNormalization LpNormalization
MeanVarianceNormalization RMSNormalization
""")

QUANTISING = _words("""
DequantizeLinear DynamicQuantizeLinear QuantizeLinear
""")

INTERPOLATING = _words("""
GridSample Resize RoiAlign Upsample
""")

DRAWING = _words("""
Bernoulli BlackmanWindow HammingWindow HannWindow Multinomial RandomNormal RandomNormalLike RandomUniform
RandomUniformLike
""")

FREE = frozenset((*ELEMENTWISE, *MOVING, *POOLING_AND_REDUCING, *NORMALISING, *QUANTISING, *INTERPOLATING, *DRAWING))
