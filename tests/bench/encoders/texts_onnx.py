"""A BERT-type sentence encoder's folder as an ONNX graph, ids of equal length -> unit vectors:
plain (standard operators only) or fused (onnxruntime's own Attention, SkipLayerNormalization,
BiasGelu). Built by hand, so that no exporter weakens the peer: query, key and value are one
product, weights are turned once, and no mask is worked on where nothing is padded."""
import json
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OWN = 'com.microsoft'


class Graph:
    def __init__(self, folder, fused):
        with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
            self.config = json.load(file)
        self.tensors = load_file(os.path.join(folder, 'model.safetensors'))
        self.fused = fused
        self.width, self.heads = self.config['hidden_size'], self.config['num_attention_heads']
        self.eps = self.config['layer_norm_eps']
        self.nodes, self.initializers = [], []

    def constant(self, name, value):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name):
        return self.constant(name, self.tensors[name])

    def node(self, op, inputs, domain='', outputs=1, **attributes):
        name = f'{op}{len(self.nodes)}'
        names = [name] + [f'{name}.{i}' for i in range(1, outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, domain=domain, **attributes))
        return name if outputs == 1 else names

    def dense(self, prefix, x, bias=True):
        w = self.constant(prefix + '.weight', self.tensors[prefix + '.weight'].T)
        y = self.node('MatMul', [x, w])
        return self.node('Add', [y, self.weight(prefix + '.bias')]) if bias else y

    def norm(self, prefix, x, skip, bias=None):
        """LayerNorm(x + skip); `bias` is a product's that was left out."""
        scale = [self.weight(prefix + '.weight'), self.weight(prefix + '.bias')]
        if self.fused:
            return self.node('SkipLayerNormalization', [x, skip] + scale + ([bias] if bias else []),
                             OWN, epsilon=self.eps)
        x = self.node('Add', [x, skip])
        return self.node('LayerNormalization', [x] + scale, axis=-1, epsilon=self.eps)

    def joined(self, prefix):
        names = [f'{prefix}.self.{part}' for part in ('query', 'key', 'value')]
        weights = [self.tensors[name + '.weight'] for name in names]
        biases = [self.tensors[name + '.bias'] for name in names]
        return (self.constant(prefix + '.qkv', np.concatenate(weights).T),
                self.constant(prefix + '.qkv.bias', np.concatenate(biases)))

    def attention(self, prefix, x):
        weight, bias = self.joined(prefix)
        if self.fused:
            return self.node('Attention', [x, weight, bias], OWN, num_heads=self.heads)
        head = self.width // self.heads
        x = self.node('Add', [self.node('MatMul', [x, weight]), bias])
        x = self.node('Reshape', [x, self.split])
        parts = self.node('Split', [x], outputs=3, axis=2, num_outputs=3)
        q, k, v = (self.node('Squeeze', [part, self.two]) for part in parts)
        q = self.node('Transpose', [q], perm=[0, 2, 1, 3])
        k = self.node('Transpose', [k], perm=[0, 2, 3, 1])
        v = self.node('Transpose', [v], perm=[0, 2, 1, 3])
        scale = self.constant(prefix + '.scale', np.float32(head ** -0.5))
        s = self.node('MatMul', [self.node('Mul', [q, scale]), k])
        y = self.node('MatMul', [self.node('Softmax', [s], axis=-1), v])
        y = self.node('Transpose', [y], perm=[0, 2, 1, 3])
        return self.node('Reshape', [y, self.join])

    def block(self, prefix, x):
        y = self.attention(prefix + '.attention', x)
        y = self.dense(prefix + '.attention.output.dense', y, bias=not self.fused)
        bias = self.weight(prefix + '.attention.output.dense.bias') if self.fused else None
        x = self.norm(prefix + '.attention.output.LayerNorm', y, x, bias)
        up = prefix + '.intermediate.dense'
        if self.fused:
            y = self.node('BiasGelu', [self.dense(up, x, bias=False), self.weight(up + '.bias')],
                          OWN)
        else:
            y = self.node('Gelu', [self.dense(up, x)])
        y = self.dense(prefix + '.output.dense', y, bias=not self.fused)
        bias = self.weight(prefix + '.output.dense.bias') if self.fused else None
        return self.norm(prefix + '.output.LayerNorm', y, x, bias)

    def embed(self):
        """Position and type are one table: there is one type."""
        table = self.tensors['embeddings.position_embeddings.weight']
        table = table + self.tensors['embeddings.token_type_embeddings.weight'][0]
        self.constant('positions', table)
        length = self.node('Shape', ['ids'], start=1, end=2)
        rows = self.node('Slice', ['positions', self.zero, length])
        x = self.node('Gather', [self.weight('embeddings.word_embeddings.weight'), 'ids'])
        x = self.node('Add', [x, rows])
        scale = [self.weight('embeddings.LayerNorm.' + part) for part in ('weight', 'bias')]
        return self.node('LayerNormalization', [x] + scale, axis=-1, epsilon=self.eps)

    def build(self):
        head = self.width // self.heads
        self.zero = self.constant('zero', np.array([0], np.int64))
        self.two = self.constant('two', np.array([2], np.int64))
        self.split = self.constant('split', np.array([0, 0, 3, self.heads, head], np.int64))
        self.join = self.constant('join', np.array([0, 0, self.width], np.int64))
        x = self.embed()
        for i in range(self.config['num_hidden_layers']):
            x = self.block(f'encoder.layer.{i}', x)
        axis = self.constant('one', np.array([1], np.int64))
        x = self.node('ReduceMean', [x, axis], keepdims=0)
        self.nodes.append(helper.make_node('LpNormalization', [x], ['y'], axis=-1, p=2))


def build(folder, fused):
    """The serialized model; input `ids` (n, t) int64, output `y` (n, dim)."""
    g = Graph(folder, fused)
    g.build()
    graph = helper.make_graph(
        g.nodes, 'bert', [helper.make_tensor_value_info('ids', TensorProto.INT64, ['n', 't'])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['n', g.width])], g.initializers)
    model = helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid('', 20), helper.make_opsetid(OWN, 1)])
    return model.SerializeToString()
