"""EfficientNet-Lite of an encoder folder as an ONNX graph: batch normalisation folded into the
convolutions, padding inside them, clip and residual as nodes of their own (onnxruntime fuses what
it can). Built by hand, so that no exporter weakens the peer."""
import json
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file


class Graph:
    def __init__(self, tensors, eps):
        self.tensors, self.eps = tensors, eps
        self.nodes, self.initializers = [], []
        self.constant('six', np.float32(6))
        self.constant('zero', np.float32(0))

    def constant(self, name, value):
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))

    def node(self, op, inputs, **attributes):
        name = f'{op}{len(self.nodes)}'
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def convolution(self, x, size, weight, bn, stride, clip):
        """`size` is the input's side; the padding is TensorFlow's SAME."""
        w = self.tensors[weight + '.weight'].astype(np.float64)
        bn = {k: self.tensors[f'{bn}.{k}'].astype(np.float64)
              for k in ('weight', 'bias', 'running_mean', 'running_var')}
        gain = bn['weight'] / np.sqrt(bn['running_var'] + self.eps)
        self.constant(weight, (w * gain[:, None, None, None]).astype(np.float32))
        self.constant(weight + '.b', (bn['bias'] - bn['running_mean'] * gain).astype(np.float32))
        kernel, groups = w.shape[2], w.shape[0] if w.shape[1] == 1 else 1
        out = -(-size // stride)
        pad = max((out - 1) * stride + kernel - size, 0)
        low, high = pad // 2, pad - pad // 2
        y = self.node('Conv', [x, weight, weight + '.b'], kernel_shape=[kernel, kernel],
                      strides=[stride, stride], pads=[low, low, high, high], group=groups)
        return (self.node('Clip', [y, 'zero', 'six']) if clip else y), out


def build(folder):
    """The serialized model; input `x` (n, 3, side, side), output `y` (n, dim)."""
    with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
        config = json.load(file)
    g = Graph(load_file(os.path.join(folder, 'model.safetensors')), config['batch_norm_eps'])
    side = config['image_size']
    x, size = g.convolution('x', side, '_conv_stem', '_bn0', 2, True)
    number, width = 0, config['stem']
    for stage in config['stages']:
        for repeat in range(stage['repeats']):
            prefix, before = f'_blocks.{number}.', x
            stride = stage['stride'] if repeat == 0 else 1
            if stage['expand'] != 1:
                x, size = g.convolution(x, size, prefix + '_expand_conv', prefix + '_bn0', 1, True)
            x, size = g.convolution(x, size, prefix + '_depthwise_conv', prefix + '_bn1', stride,
                                    True)
            x, size = g.convolution(x, size, prefix + '_project_conv', prefix + '_bn2', 1, False)
            if stride == 1 and width == stage['out']:
                x = g.node('Add', [x, before])
            number, width = number + 1, stage['out']
    x, size = g.convolution(x, size, '_conv_head', '_bn1', 1, True)
    x = g.node('GlobalAveragePool', [x])
    g.nodes.append(helper.make_node('Flatten', [x], ['y'], axis=1))
    graph = helper.make_graph(
        g.nodes, 'efficientnet-lite',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['n', 3, side, side])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['n', config['head']])],
        g.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()
